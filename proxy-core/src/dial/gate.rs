//! Whether a target may be dialled at all.

use std::time::Duration;

use super::error::DialErrorKind;

/// Whoever decides which targets may be dialled, and learns how it went: limits and breakers of targets.
///
/// A ticket is taken before a target is dialled and given back with the outcome; dropping it (the dial was abandoned) is
/// no outcome.
pub trait Gate: Send + Sync {
    /// Leave to dial one target.
    type Ticket: Send;
    /// What a connection to the target holds for as long as it lives.
    type Pass: Send;

    /// Leave to dial the target that is `n`th in the list.
    ///
    /// # Errors
    /// Why it is not to be dialled now.
    fn enter(&self, n: usize) -> Result<Self::Ticket, Closed>;

    /// The target was reached.
    fn reached(&self, ticket: Self::Ticket) -> Self::Pass;

    /// It was not, and `why` is the last thing that it said.
    fn failed(&self, ticket: Self::Ticket, why: &DialErrorKind);
}

/// Every target may be dialled.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllOpen;

impl Gate for AllOpen {
    type Ticket = ();
    type Pass = ();

    fn enter(&self, _: usize) -> Result<(), Closed> {
        Ok(())
    }

    fn reached(&self, (): ()) {}

    fn failed(&self, (): (), _: &DialErrorKind) {}
}

/// Why a target is not to be dialled now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Its breaker is open: it failed too often in a row. It may be tried again after this long; None while somebody else
    /// tries it.
    Breaker(Option<Duration>),
    /// It has as many connections as it may have.
    Full(usize),
    /// An operator drains it.
    Draining,
}
