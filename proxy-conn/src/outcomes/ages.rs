//! How many have waited how long: few numbers, of which a rule picks its own bound.

use std::time::Duration;

/// The bounds, in seconds.
const BOUNDS: [u64; 12] = [1, 2, 3, 5, 6, 8, 10, 15, 20, 30, 60, 300];

/// How many have waited how long; those below a second are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ages([u32; BOUNDS.len()]);

impl Ages {
    /// One more, that has waited so long.
    pub fn add(&mut self, waited: Duration) {
        let reached = BOUNDS.partition_point(|bound| *bound <= waited.as_secs());
        let bucket = reached.checked_sub(1).and_then(|bucket| self.0.get_mut(bucket));
        bucket.into_iter().for_each(|count| *count = count.saturating_add(1));
    }

    /// All those of `other` too.
    pub fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(all, more)| *all = all.saturating_add(more));
    }

    /// How many have certainly waited at least so long.
    #[must_use]
    pub fn at_least(&self, wait: Duration) -> u64 {
        let long = BOUNDS.iter().zip(&self.0).filter(|(bound, _)| Duration::from_secs(**bound) >= wait);
        long.map(|(_, count)| u64::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_counted_has_waited_at_least_so_long() {
        let mut ages = Ages::default();
        for millis in [0, 999, 1000, 2999, 3000, 59_999, 60_000, 10_000_000] {
            ages.add(Duration::from_millis(millis));
        }
        let at_least = |secs| ages.at_least(Duration::from_secs(secs));
        assert_eq!([0, 1, 2, 3, 5].map(at_least), [6, 6, 5, 4, 3]);
        assert_eq!((at_least(30), at_least(60), at_least(61), at_least(300), at_least(301)), (3, 2, 1, 1, 0));
    }
}
