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
mod totals;
mod waits;

pub(crate) use account::{Account, Valued, Worker};
pub use ages::Ages;
pub use tally::Tally;
pub use totals::Totals;
pub use waits::WAITS;
pub(crate) use waits::micros;

#[cfg(test)]
mod tests;
