//! How the dials of one target went: how long those took that succeeded, and why the others failed.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;
use parking_lot::{Mutex, MutexGuard};
use proxy_conn::histogram::{Bounds, Snapshot};
use proxy_core::dial::{DialErrorKind, DialFailure};

/// Microseconds: a backend in the same rack answers in a tenth of a millisecond, and no dial is waited for longer than its
/// deadline, 30 s by default.
const MICROS: Bounds = Bounds::new(&[
    100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000,
]);

/// One for each bound, and one for what lies beyond.
const BUCKETS: usize = MICROS.as_slice().len() + 1;

/// How much of the recent time the last dial is: an eighth, as in TCP's smoothed round-trip time (RFC 6298).
const RECENT: u32 = 8;

/// Counted where the dial ends, by whichever worker dialled: some relaxed adds beside some thirty microseconds of system
/// calls. Not in shards: there may be ten thousand members.
#[derive(Debug)]
pub struct DialFigures {
    sum: AtomicU64,
    /// The lower halves of the counts.
    reached: [AtomicU32; BUCKETS],
    /// Made when there is something in it.
    seldom: OnceBox<Seldom>,
    /// The smoothed time of those that succeeded, in microseconds; 0 for none yet.
    recent: AtomicU32,
}

/// What few members have: dials that failed, and more than four thousand millions of a kind that did not.
#[derive(Debug, Default)]
struct Seldom {
    failed: [AtomicU64; DialFailure::ALL.len()],
    /// The upper halves of the counts.
    carried: [AtomicU32; BUCKETS],
    /// The addresses of the target's name that failed since it was last found in order.
    failed_at: Mutex<Vec<IpAddr>>,
}

impl Default for DialFigures {
    fn default() -> Self {
        Self {
            sum: AtomicU64::new(0),
            reached: [const { AtomicU32::new(0) }; BUCKETS],
            seldom: OnceBox::new(),
            recent: AtomicU32::new(0),
        }
    }
}

impl DialFigures {
    /// The target was reached, after so long.
    pub fn reached(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Ordering::Relaxed);
        let bucket = MICROS.bucket(micros);
        let before = self.reached.get(bucket).map(|count| count.fetch_add(1, Ordering::Relaxed));
        if before == Some(u32::MAX)
            && let Some(carried) = self.seldom().carried.get(bucket)
        {
            carried.fetch_add(1, Ordering::Relaxed);
        }
        // Of two that end at once one may be left out: it is an average.
        let (last, now) =
            (self.recent.load(Ordering::Relaxed), u32::try_from(micros).unwrap_or(u32::MAX).max(1));
        let smoothed = if last == 0 { now } else { last - last / RECENT + now / RECENT };
        self.recent.store(smoothed.max(1), Ordering::Relaxed);
    }

    /// How long dials took lately, in microseconds: smoothed, the last counts for an eighth. 0 where none has succeeded.
    #[must_use]
    pub fn recent(&self) -> u32 {
        self.recent.load(Ordering::Relaxed)
    }

    /// It was not.
    pub fn failed(&self, why: &DialErrorKind) {
        if let Some(count) = why.failure().and_then(|failure| self.seldom().failed.get(failure as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long the dials took that succeeded, in microseconds.
    #[must_use]
    pub fn latency(&self) -> Snapshot {
        let carried = |bucket: usize| self.seldom.get().and_then(|seldom| seldom.carried.get(bucket));
        let buckets = self.reached.iter().enumerate().map(|(bucket, count)| {
            let upper = carried(bucket).map_or(0, |carried| carried.load(Ordering::Relaxed));
            u64::from(upper) << 32 | u64::from(count.load(Ordering::Relaxed))
        });
        Snapshot::of(MICROS, self.sum.load(Ordering::Relaxed), buckets)
    }

    /// How many failed, by why: all there are, those of which there was none too.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DialFailure::ALL.into_iter().map(DialFailure::name).enumerate().map(|(failure, name)| {
            let count = self.seldom.get().and_then(|seldom| seldom.failed.get(failure));
            (name, count.map_or(0, |count| count.load(Ordering::Relaxed)))
        })
    }

    /// The addresses at which it failed since they were last forgotten.
    pub(crate) fn failed_at(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.seldom().failed_at.lock()
    }

    /// Forgets the addresses at which it failed.
    pub(crate) fn forget_failed_at(&self) {
        if let Some(seldom) = self.seldom.get() {
            seldom.failed_at.lock().clear();
        }
    }

    fn seldom(&self) -> &Seldom {
        self.seldom.get_or_init(Box::default)
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

    #[test]
    fn a_count_goes_on_beyond_half_a_word() {
        let figures = DialFigures::default();
        figures.reached[0].store(u32::MAX, Ordering::Relaxed);
        figures.reached(Duration::from_micros(1));
        figures.reached(Duration::from_micros(1));
        assert_eq!(figures.latency().count(), (1 << 32) + 1);
    }

    #[test]
    fn the_recent_time_follows_the_dials() {
        let figures = DialFigures::default();
        let after = |micros| {
            figures.reached(Duration::from_micros(micros));
            figures.recent()
        };
        assert_eq!((figures.recent(), after(800), after(1600), after(u64::MAX)), (0, 800, 900, 536_871_699));
        (0..200).for_each(|_| figures.reached(Duration::from_micros(500)));
        assert!((490..=510).contains(&figures.recent()), "{}", figures.recent());
        assert_eq!(figures.latency().count(), 203);
    }
}
