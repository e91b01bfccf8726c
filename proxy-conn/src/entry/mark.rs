//! A time after a connection's beginning, in four bytes, for others to read.
//!
//! ```text
//!  31 30 │ 29 … 0
//!  unit  │ count     unit: microseconds up to 18 minutes, milliseconds up to 12 days, seconds up to 34 years
//! ```

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const COUNT_BITS: u32 = 30;
const COUNT: u32 = (1 << COUNT_BITS) - 1;
/// One unit's first that the next unit takes: a whole number of the next, so that later times never have earlier marks.
const FULL: u64 = (COUNT as u64) / 1000 * 1000;
const MICROS: u32 = 0;
const MILLIS: u32 = 1;
const SECONDS: u32 = 2;
const UNSET: u32 = u32::MAX;

/// Whole seconds are exact always, milliseconds for 12 days, microseconds for 18 minutes. What is finer is cut off.
#[derive(Debug)]
pub(super) struct Mark(AtomicU32);

impl Default for Mark {
    fn default() -> Self {
        Self::zero()
    }
}

impl Mark {
    /// Set to the beginning.
    pub(super) const fn zero() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Not set.
    pub(super) const fn unset() -> Self {
        Self(AtomicU32::new(UNSET))
    }

    pub(super) fn set(&self, age: Duration) {
        self.0.store(coded(age), Ordering::Relaxed);
    }

    /// Sets it no earlier than to `age`, and hardly later.
    pub(super) fn set_no_earlier(&self, age: Duration) {
        let coded = coded(age);
        let late = if decoded(coded) < age { coded + 1 } else { coded };
        self.0.store(late, Ordering::Relaxed);
    }

    /// The time; `None` if it was not set.
    pub(super) fn get(&self) -> Option<Duration> {
        Some(self.0.load(Ordering::Relaxed)).filter(|coded| *coded != UNSET).map(decoded)
    }

    /// The latest time that it may have been set to; zero if it was not set.
    pub(super) fn latest(&self) -> Duration {
        let coded = self.0.load(Ordering::Relaxed);
        let exact = coded == UNSET || coded >> COUNT_BITS == MICROS;
        if exact { self.age() } else { decoded(coded + 1) }
    }

    /// The time; zero if it was not set.
    pub(super) fn age(&self) -> Duration {
        self.get().unwrap_or_default()
    }
}

fn coded(age: Duration) -> u32 {
    let micros = age.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(age.subsec_micros()));
    let (unit, count) = match micros {
        0..FULL => (MICROS, micros),
        _ if micros / 1000 < FULL => (MILLIS, micros / 1000),
        _ => (SECONDS, micros / 1_000_000),
    };
    // The last but one is the most, so that one more still fits.
    (unit << COUNT_BITS) | u32::try_from(count).unwrap_or(COUNT).min(COUNT - 1)
}

fn decoded(coded: u32) -> Duration {
    let count = u64::from(coded & COUNT);
    match coded >> COUNT_BITS {
        MICROS => Duration::from_micros(count),
        MILLIS => Duration::from_millis(count),
        _ => Duration::from_secs(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60;
    const DAY: u64 = 24 * 60 * MINUTE;

    #[test]
    fn a_mark_takes_four_bytes_and_one_that_is_not_set_says_so() {
        assert_eq!(size_of::<Mark>(), 4);
        assert_eq!((Mark::unset().get(), Mark::zero().get()), (None, Some(Duration::ZERO)));
        let ever = Mark::zero();
        ever.set_no_earlier(Duration::MAX);
        assert_eq!(ever.get(), Some(Duration::from_secs(u64::from(COUNT))));
    }

    #[test]
    fn precision_follows_from_age() {
        let of = |age| decoded(coded(age));
        let (short, long, ages) = (17 * MINUTE, 12 * DAY, 400 * DAY);
        let us = Duration::from_micros(1);
        assert_eq!(of(Duration::from_secs(short) + us), Duration::from_secs(short) + us);
        let ms = Duration::from_millis(1);
        assert_eq!(of(Duration::from_secs(long) + ms + us), Duration::from_secs(long) + ms);
        assert_eq!(of(Duration::from_secs(ages) + ms), Duration::from_secs(ages));
    }

    proptest! {
        #[test]
        fn later_times_have_later_marks(a in any::<u64>(), more in 0_u64..2_000_000, cut in 0_u32..64) {
            let a = Duration::from_micros((a >> cut).min(1 << 49));
            let b = a + Duration::from_micros(more);
            prop_assert!(decoded(coded(a)) <= decoded(coded(b)));
            prop_assert!(decoded(coded(a)) <= a);
            let mark = Mark::zero();
            mark.set_no_earlier(a);
            prop_assert!(mark.age() >= a && mark.age() <= a + Duration::from_secs(1));
            mark.set(a);
            prop_assert!(mark.latest() >= a && mark.latest() <= a + Duration::from_secs(1));
        }
    }
}
