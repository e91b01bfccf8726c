//! How connections to a member went: counted by workers, read by whoever looks for outliers.

use std::sync::atomic::{AtomicU32, Ordering};

/// Whether a connection says something for or against the member that it was to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The backend has said something to it.
    Good,
    /// It could not be reached, or ended before its first byte, or had none when one was due.
    Bad,
}

/// Counts that wrap: what counts are differences. A relaxed add for each end, and two where it is bad or the first good one after
/// that.
#[derive(Debug, Default)]
pub struct Outcomes {
    good: AtomicU32,
    bad: AtomicU32,
    /// Bad ones since the last good one.
    streak: AtomicU32,
}

/// The counts at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Good ones, ever.
    pub good: u32,
    /// Bad ones, ever.
    pub bad: u32,
    /// Bad ones since the last good one.
    pub streak: u32,
}

impl Outcomes {
    /// Counts one.
    pub fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Good => {
                self.good.fetch_add(1, Ordering::Relaxed);
                if self.streak.load(Ordering::Relaxed) != 0 {
                    self.streak.store(0, Ordering::Relaxed);
                }
            }
            Outcome::Bad => {
                self.bad.fetch_add(1, Ordering::Relaxed);
                self.streak.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let [good, bad, streak] =
            [&self.good, &self.bad, &self.streak].map(|count| count.load(Ordering::Relaxed));
        Counts { good, bad, streak }
    }

    /// Nothing is held against it any more.
    pub(crate) fn forgive(&self) {
        self.streak.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_one_ends_a_streak() {
        let outcomes = Outcomes::default();
        for outcome in [Outcome::Bad, Outcome::Bad, Outcome::Good, Outcome::Bad] {
            outcomes.count(outcome);
        }
        assert_eq!(outcomes.counts(), Counts { good: 1, bad: 3, streak: 1 });
        outcomes.forgive();
        assert_eq!(outcomes.counts(), Counts { good: 1, bad: 3, streak: 0 });
    }
}
