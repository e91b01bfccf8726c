//! Limits whose permits are guards: a count moves only by making and dropping a [`Permit`], never by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many may be at once. Cheap to clone; clones are the same limit.
#[derive(Debug, Clone)]
pub struct Limit(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    most: usize,
    now: AtomicUsize,
}

impl Limit {
    /// A limit of `most` permits.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Counter { most, now: AtomicUsize::new(0) }))
    }

    /// A permit, if fewer than the most are out. One atomic step: there is no check before the act.
    #[must_use]
    pub fn acquire(&self) -> Option<Permit> {
        let one_more = |now| (now < self.0.most).then_some(now + 1);
        self.0.now.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more).ok()?;
        Some(Permit(Arc::clone(&self.0)))
    }

    /// Permits that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.now.load(Ordering::Relaxed)
    }

    /// The most there may be.
    #[must_use]
    pub fn most(&self) -> usize {
        self.0.most
    }
}

/// Leave to be one of those that a [`Limit`] bounds. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back at once"]
pub struct Permit(Arc<Counter>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::AcqRel);
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
        assert_eq!((limit.in_use(), limit.most()), (2, 2));
    }

    #[test]
    fn concurrent_admission_never_exceeds_and_never_leaks() {
        let (limit, high) = (Limit::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Some(_permit) = limit.acquire() {
                            high.fetch_max(limit.in_use(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!((1..=3).contains(&high.into_inner()));
        assert_eq!(limit.in_use(), 0);
    }
}
