//! A count that never goes back.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that is added up from several places, which are not read all at once: it never goes back.
#[derive(Debug, Default)]
pub(super) struct Ascending(AtomicU64);

impl Ascending {
    /// `now`, or what it was if that was more.
    pub(super) fn at_least(&self, now: u64) -> u64 {
        self.0.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_goes_back() {
        let counter = Ascending::default();
        assert_eq!([3, 2, 7, 7, 0].map(|now| counter.at_least(now)), [3, 3, 7, 7, 7]);
    }
}
