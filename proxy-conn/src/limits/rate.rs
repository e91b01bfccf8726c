//! The rate of one client, by the generic cell rate algorithm (GCRA): one time stamp for each client, and no timer.
//!
//! The stamp says when the client's debt is repaid. Each admission adds one interval to the debt; time repays it; and an
//! admission whose debt would come to more than a minute is refused. So a client may have its minute's worth at once,
//! and then one for each interval; and a client without debt needs no stamp: it is as if it had never been seen.
//!
//! ```text
//!            now            due                       now + tolerance
//! ────────────┼──────────────┼──────────────────────────────┼─────────►
//!             ├── the debt ──┤                              │
//!             └─────────── admitted while due is in here ───┘
//! ```
//!
//! Times are nanoseconds since the table began; a `u64` of them lasts 584 years. The numbers are those of governor's
//! `Quota::per_minute`, with which the tests compare every decision: an interval is cut to whole nanoseconds, to the
//! client's favour, by nothing at 300 a minute and by less than a millionth below 60 000.

use std::num::NonZeroU32;

const MINUTE: u64 = 60_000_000_000;

/// A rate: so many a minute, as many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gcra {
    /// One admission's worth of debt.
    interval: u64,
    /// The debt with which one more is still admitted.
    tolerance: u64,
}

impl Gcra {
    pub(super) fn per_minute(most: NonZeroU32) -> Self {
        let most = u64::from(most.get());
        // INVARIANT: a u32 is less than the minute's nanoseconds, so the interval is at least 13.
        let interval = MINUTE / most;
        Self { interval, tolerance: interval * (most - 1) }
    }

    /// How many admissions the debt is for that is repaid at `due`, as seen at `now`.
    pub(super) fn owed(self, due: u64, now: u64) -> u32 {
        u32::try_from(due.saturating_sub(now).div_ceil(self.interval)).unwrap_or(u32::MAX)
    }

    /// When the debt is repaid after one more at `now`, where it would have been at `due`; or, if that is too much, how
    /// long until one is admitted.
    pub(super) fn one_more(self, due: u64, now: u64) -> Result<u64, u64> {
        let earliest = due.saturating_sub(self.tolerance);
        if now < earliest { Err(earliest - now) } else { Ok(due.max(now).saturating_add(self.interval)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn gcra(per_minute: u32) -> Gcra {
        Gcra::per_minute(NonZeroU32::new(per_minute).unwrap())
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_one_for_each_interval() {
        let (gcra, now) = (gcra(300), 5 * SECOND);
        let mut due = now;
        for _ in 0..300 {
            due = gcra.one_more(due, now).unwrap();
        }
        assert_eq!(due, now + 60 * SECOND, "no debt is longer than a minute");
        assert_eq!(gcra.one_more(due, now), Err(SECOND / 5));
        assert_eq!(gcra.one_more(due, now + SECOND / 5 - 1), Err(1));
        let due = gcra.one_more(due, now + SECOND / 5).unwrap();
        assert_eq!(gcra.one_more(due, now + SECOND / 5), Err(SECOND / 5));
    }

    #[test]
    fn the_slowest_and_the_fastest() {
        let slow = gcra(1);
        let due = slow.one_more(0, 7).unwrap();
        assert_eq!(slow.one_more(due, 7), Err(60 * SECOND));
        assert!(slow.one_more(due, 7 + 60 * SECOND).is_ok());
        let fast = gcra(u32::MAX);
        assert_eq!(fast.interval, 13);
        assert_eq!(fast.one_more(u64::MAX, u64::MAX), Ok(u64::MAX), "saturates rather than wraps");
    }
}
