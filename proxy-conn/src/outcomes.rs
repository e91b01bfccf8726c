//! What became of the connections of one subject: a route, a target, a listener, a pool.
//!
//! ```text
//!  worker 0 ─► lines of its own ┐
//!  worker 1 ─► lines of its own ├─► Totals, histograms: added up by whoever asks
//!  a walk   ─► bytes so far     ┘
//! ```
//! A name and what is counted under it are one thing, a [`Tally`], which connections hold in place of the name: so an end looks
//! nothing up. Bytes are counted when a connection ends, and by each [`walk`](crate::Tracker::walk) those that have come since the
//! last one: each once, whoever is first, so that what is counted only ever rises.

mod account;
mod ages;
mod counts;
mod tally;
mod walk;

use std::time::Duration;

use crate::end::Cause;
use crate::histogram::Bounds;

pub(crate) use account::{Account, Worker};
pub use ages::Ages;
pub use tally::Tally;
pub use walk::{LONG, Living, Walk};

/// Microseconds that somebody waited for a backend, or for a place: a tenth of a millisecond, as a backend in the same rack takes, to
/// a minute, in steps of two and a half at the most, so that a quantile is no further off than that.
pub const WAITS: Bounds = Bounds::new(&[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 20_000_000, 30_000_000, 60_000_000,
]);

/// In whole microseconds, as [`WAITS`] has them.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What was counted of one subject since the start. Counters only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections that it was given: accepted by a listener, taken by a route, dialled to a target.
    pub opened: u64,
    /// Connections that have ended, by cause, in the order of [`Cause::ALL`].
    pub ended: [u64; Cause::ALL.len()],
    /// Of a target: connections that went on to another one before they had a backend.
    pub passed_on: u64,
    /// Of those that have ended or gone on, how many the backend failed: it refused, reset, was silent beyond a deadline or could
    /// not be reached.
    pub failed: u64,
    /// Of those that have ended, how many had no answer: the client had said something, and the backend never did after it. That is
    /// usual for protocols that go one way.
    pub unanswered: u64,
    /// Bytes read from clients: all of those that have ended, and of those that are open what had come by the last walk.
    pub from_client: u64,
    /// Bytes read from backends, in the same way.
    pub from_backend: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            opened: 0,
            ended: [0; Cause::ALL.len()],
            passed_on: 0,
            failed: 0,
            unanswered: 0,
            from_client: 0,
            from_backend: 0,
        }
    }
}

impl Totals {
    /// How many have ended here: by any cause, or by going on to another target.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.iter().sum::<u64>() + self.passed_on
    }

    /// How many are open: those that it was given and that have not ended here.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.opened.saturating_sub(self.ended())
    }

    /// How many have ended of `cause`.
    #[must_use]
    pub fn ended_of(&self, cause: Cause) -> u64 {
        self.ended.get(cause.index()).copied().unwrap_or(0)
    }

    /// How many were refused by a limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        Cause::ALL.iter().filter(|cause| cause.is_refusal()).map(|cause| self.ended_of(*cause)).sum()
    }

    /// Each cause of which there was any, with how many.
    pub fn causes(&self) -> impl Iterator<Item = (Cause, u64)> {
        let all = Cause::ALL.iter().copied().zip(self.ended);
        all.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests;
