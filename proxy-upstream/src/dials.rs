//! How the dials of one target went: how long those took that succeeded, and why the others failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy_conn::Histogram;
use proxy_conn::histogram::{Bounds, Snapshot};
use proxy_core::dial::{DialErrorKind, DialFailure};

/// Microseconds: a backend in the same rack answers in a tenth of a millisecond, and no dial is waited for longer than its
/// deadline, 30 s by default.
const MICROS: Bounds = Bounds::new(&[
    100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000,
]);

/// Counted where the dial ends, by whichever worker dialled: two relaxed adds beside some thirty microseconds of system
/// calls.
#[derive(Debug)]
pub struct DialFigures {
    reached: Histogram,
    failed: [AtomicU64; DialFailure::ALL.len()],
}

impl Default for DialFigures {
    fn default() -> Self {
        Self {
            reached: Histogram::new(MICROS, 1),
            failed: [const { AtomicU64::new(0) }; DialFailure::ALL.len()],
        }
    }
}

impl DialFigures {
    /// The target was reached, after so long.
    pub fn reached(&self, took: Duration) {
        self.reached.record(0, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// It was not.
    pub fn failed(&self, why: &DialErrorKind) {
        if let Some(count) = why.failure().and_then(|failure| self.failed.get(failure as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long the dials took that succeeded, in microseconds.
    #[must_use]
    pub fn latency(&self) -> Snapshot {
        self.reached.snapshot()
    }

    /// How many failed, by why: all there are, those of which there was none too.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DialFailure::ALL
            .into_iter()
            .map(DialFailure::name)
            .zip(self.failed.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_core::dial::Closed;

    #[test]
    fn each_dial_is_counted_once_and_what_was_not_dialled_is_not() {
        let figures = DialFigures::default();
        figures.reached(Duration::from_micros(99));
        figures.reached(Duration::from_secs(60));
        figures.failed(&DialErrorKind::Timeout);
        figures.failed(&DialErrorKind::Failed(std::io::ErrorKind::Other.into()));
        figures.failed(&DialErrorKind::Closed(Closed::Full(3)));
        let latency = figures.latency();
        assert_eq!((latency.count(), latency.quantile(0.5)), (2, Some(100)));
        let failures: Vec<_> = figures.failures().filter(|(_, count)| *count > 0).collect();
        assert_eq!(failures, [("timeout", 1), ("failed", 1)]);
    }
}
