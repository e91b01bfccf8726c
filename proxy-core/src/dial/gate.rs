//! Whether a target may be dialled at all, and how.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use super::destination::Destination;
use super::error::DialErrorKind;
use crate::addr::{Endpoint, TargetAddr};

/// Decides which targets may be dialled and how, and learns how each dial went: limits and breakers of targets.
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

    /// Leave to dial a target all the same that [`enter`](Self::enter) keeps closed because it failed before, for a dial that
    /// has no other target. May wait for a probe that is under way; the dial bounds that. Cancel-safe.
    ///
    /// # Errors
    /// Why it is not to be dialled even so.
    fn insist(&self, n: usize) -> impl Future<Output = Result<Self::Ticket, Closed>> + Send {
        std::future::ready(self.enter(n))
    }

    /// How the target that is `n`th in the list is dialled at one of its addresses.
    fn destination<'d>(&'d self, _: usize, endpoint: &'d Endpoint) -> Destination<'d> {
        Destination::new(endpoint)
    }

    /// The target that is `n`th, where the list has fewer: asked for when it is its turn, for one after the other. None where there
    /// are no more.
    fn further(&self, n: usize) -> Option<TargetAddr> {
        let _ = n;
        None
    }

    /// How many [`further`](Self::further) would have from the `n`th on, as far as the dial is to have time left for them.
    fn left(&self, n: usize) -> usize {
        let _ = n;
        0
    }

    /// The target was reached.
    fn reached(&self, ticket: Self::Ticket) -> Self::Pass;

    /// It was not reached; `why` is the error of the last attempt. `addresses` are those that its name stands for; none where it
    /// is no name, or that could not be learnt.
    fn failed(&self, ticket: Self::Ticket, why: &DialErrorKind, addresses: &[IpAddr]);

    /// It had not answered yet when another target was reached that was tried after it: it is slow at least, and may be down.
    fn overtaken(&self, ticket: Self::Ticket) {
        drop(ticket);
    }
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

    fn failed(&self, (): (), _: &DialErrorKind, _: &[IpAddr]) {}
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
