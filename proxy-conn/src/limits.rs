//! Limits whose permits are guards: a count moves only by making and dropping a [`Permit`], never by hand.
//!
//! - [`Limit`]: so many at once, of anything: connections of a listener, a route, a pool, a target;
//! - [`Limit::acquire_or_wait`]: the same, with a bounded, fair queue ([`QueueLimits`]) for those that may wait;
//! - [`AddressLimits`]: so many at once, and so many a minute, for each client address ([`AddressKey`]), in a table that
//!   is bounded whoever fills it.
//!
//! What they are not: they know no connection, no route and no configuration file, spawn nothing, and are shed by
//! nobody: what to do with a refusal is for the one who asked.

mod address;
mod answer;
mod clients;
#[cfg(all(test, loom_model))]
mod model;
mod queue;
mod rate;
mod refused;
mod shard;
mod sync;
mod word;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use address::{AddressKey, V6Prefix, V6PrefixError};
pub use answer::{AddressRefusal, Busiest, Refused};
pub use clients::{AddressLimits, AddressLimitsOptions, AddressLimitsOverrides, AddressPermit};
pub use queue::{QueueError, QueueLimits};

use self::queue::Line;
use self::sync::Mutex;
use self::word::Word;

/// How many may be at once. Cheap to clone; clones are the same limit.
///
/// [`acquire`](Self::acquire) decides at once; [`acquire_or_wait`](Self::acquire_or_wait) waits for its turn. Both may
/// be used on one limit: while somebody waits, `acquire` refuses, so nobody overtakes.
#[derive(Clone)]
pub struct Limit(Arc<Counter>);

/// What the clones and the permits of a limit share.
struct Counter {
    word: Word,
    high_water: AtomicUsize,
    line: Mutex<Line>,
}

impl Limit {
    /// The largest limit there is, 2³¹ − 1: a larger one is taken for this. No process holds as many connections.
    pub const MAX: usize = word::MOST;

    /// A limit of `most` permits.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let line = Mutex::new(Line::default());
        Self(Arc::new(Counter { word: Word::new(most), high_water: AtomicUsize::new(0), line }))
    }

    /// A limit that never refuses: it counts, and may be given a bound later.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::new(Self::MAX)
    }

    /// The bound; None where that is [`MAX`](Self::MAX), which is never reached.
    #[must_use]
    pub fn bound(&self) -> Option<usize> {
        Some(self.most()).filter(|most| *most < Self::MAX)
    }

    /// A permit, if fewer than the most are out and none is waited for. One atomic step: there is no check before the
    /// act.
    #[must_use]
    pub fn acquire(&self) -> Option<Permit> {
        self.0.word.take().map(|in_use| self.0.permit(in_use))
    }

    /// Permits that are out, those on their way to a waiter included.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.word.in_use()
    }

    /// The most there may be.
    #[must_use]
    pub fn most(&self) -> usize {
        self.0.word.most()
    }

    /// Whether it is in use elsewhere: a permit that is out, or another clone.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The most that were ever out at once.
    #[must_use]
    pub fn high_water(&self) -> usize {
        self.0.high_water.load(Ordering::Relaxed).max(self.in_use())
    }

    /// Changes the limit, as a reload does. Raised, it admits those that wait, in their order. Lowered below what is in
    /// use, it takes nothing back: it admits nobody until enough are given back.
    pub fn set_most(&self, most: usize) {
        let admitted = self.0.line.lock().set_most(&self.0.word, most);
        self.0.note(self.in_use());
        for waiter in admitted {
            self.0.serve(waiter);
        }
    }
}

impl Counter {
    /// The guard of a permit that the word has counted already, as the `in_use`th.
    fn permit(self: &Arc<Self>, in_use: usize) -> Permit {
        self.note(in_use);
        Permit(Arc::clone(self))
    }

    fn note(&self, in_use: usize) {
        // Reading first keeps the usual path, where no record falls, from writing.
        if self.high_water.load(Ordering::Relaxed) < in_use {
            self.high_water.fetch_max(in_use, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_use, most) = (self.in_use(), self.most());
        f.debug_struct("Limit")
            .field("in_use", &in_use)
            .field("most", &most)
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// Leave to be one of those that a [`Limit`] bounds. Dropping it gives it back, or hands it to whoever waits longest.
#[must_use = "a permit that is dropped is given back at once"]
pub struct Permit(Arc<Counter>);

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.word.give() {
            return;
        }
        let waiter = self.0.line.lock().pass_on(&self.0.word);
        if let Some(waiter) = waiter {
            self.0.serve(waiter);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&Limit(Arc::clone(&self.0))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_exceeded_and_a_drop_gives_back() {
        let limit = Limit::new(2);
        let (first, _second) = (limit.acquire().unwrap(), limit.acquire().unwrap());
        assert!(limit.acquire().is_none());
        drop(first);
        let third = limit.acquire();
        assert!(third.is_some());
        assert_eq!((limit.in_use(), limit.most(), limit.high_water()), (2, 2, 2));
    }

    #[test]
    fn a_limit_of_none_admits_nobody_and_the_largest_is_kept_in_range() {
        assert!(Limit::new(0).acquire().is_none());
        assert_eq!(Limit::new(Limit::MAX).most(), Limit::MAX);
        assert_eq!(Limit::new(usize::MAX).most(), Limit::MAX);
        assert!(Limit::new(usize::MAX).acquire().is_some());
        assert_eq!((Limit::unbounded().bound(), Limit::new(7).bound()), (None, Some(7)));
    }

    #[test]
    fn a_limit_lowered_below_its_use_admits_nobody_until_enough_are_given_back() {
        let limit = Limit::new(3);
        let mut permits = vec![limit.acquire().unwrap(), limit.acquire().unwrap(), limit.acquire().unwrap()];
        limit.set_most(1);
        assert_eq!((limit.in_use(), limit.most()), (3, 1));
        permits.truncate(1);
        assert!(limit.acquire().is_none(), "one of one is out");
        permits.clear();
        assert!(limit.acquire().is_some());
        limit.set_most(2);
        let _both = (limit.acquire().unwrap(), limit.acquire().unwrap());
        assert!(limit.acquire().is_none());
        assert_eq!(limit.high_water(), 3);
    }

    #[test]
    fn a_limit_is_shared_for_as_long_as_somebody_has_a_permit_or_a_clone() {
        let limit = Limit::new(1);
        let (permit, clone) = (limit.acquire(), limit.clone());
        drop(clone);
        assert!(limit.is_shared());
        drop(permit);
        assert!(!limit.is_shared());
    }

    #[test]
    fn its_debug_form_says_what_counts() {
        let limit = Limit::new(2);
        let permit = limit.acquire().unwrap();
        assert_eq!(format!("{permit:?}"), "Permit(Limit { in_use: 1, most: 2, waiting: 0 })");
    }
}
