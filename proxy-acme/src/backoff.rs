//! How long is waited after failures. Pure: time and chance are handed in.

use std::time::{Duration, SystemTime};

/// The waits after the first failure in a row, the second, and so on; the last one stands for all that follow.
///
/// Let's Encrypt bears five failed validations of a name within an hour: these are four in the first, and then two a day for as long as
/// it takes an operator to mend what is wrong.
const WAITS: [u64; 6] = [60, 5 * 60, 15 * 60, 3600, 3 * 3600, 12 * 3600];

/// The wait where an authority says that its limit is met, and not until when.
const LIMITED: u64 = 3600;

/// The longest wait that an authority may ask for: the longest of the limits of Let's Encrypt lasts a week.
const LONGEST: u64 = 7 * 24 * 3600;

/// What a wait may be longer by, at most: names that failed together are not tried together for ever.
const LATER: f64 = 0.2;

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lesson {
    /// How often it has failed in a row, from 1.
    pub failures: u32,
    /// Whether a limit of the authority's is met.
    pub limited: bool,
    /// Before this the authority wants no further try (`Retry-After`).
    pub not_before: Option<SystemTime>,
}

/// When the next try is due; `draw`, from 0 to 1, spreads those of several names.
#[must_use]
pub fn next_try(now: SystemTime, lesson: Lesson, draw: f64) -> SystemTime {
    let nth = (lesson.failures.max(1) - 1) as usize;
    let [.., last] = WAITS;
    let own = WAITS.get(nth).copied().unwrap_or(last);
    let least = if lesson.limited { own.max(LIMITED) } else { own };
    let wait = Duration::from_secs(least).mul_f64(1.0 + LATER * draw.clamp(0.0, 1.0));
    let asked = lesson.not_before.map(|then| then.min(now + Duration::from_secs(LONGEST)));
    asked.map_or(now + wait, |asked| asked.max(now + wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(lesson: Lesson, draw: f64) -> u64 {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        next_try(now, lesson, draw).duration_since(now).unwrap().as_secs()
    }

    fn failed(failures: u32) -> Lesson {
        Lesson { failures, ..Lesson::default() }
    }

    #[test]
    fn waits_grow_and_stay_at_half_a_day() {
        let waits: Vec<_> = (1..=8).map(|n| wait(failed(n), 0.0)).collect();
        assert_eq!(waits, [60, 300, 900, 3600, 10_800, 43_200, 43_200, 43_200]);
        assert_eq!(wait(failed(u32::MAX), 1.0), 51_840);
    }

    #[test]
    fn five_failures_do_not_fit_into_an_hour() {
        let first_five: u64 = (1..=4).map(|n| wait(failed(n), 0.0)).sum();
        assert!(first_five > 3600, "{first_five}");
    }

    #[test]
    fn a_limit_is_waited_for_an_hour_at_least() {
        assert_eq!(wait(Lesson { limited: true, ..failed(1) }, 0.0), 3600);
        assert_eq!(wait(Lesson { limited: true, ..failed(6) }, 0.0), 43_200);
    }

    #[test]
    fn what_the_authority_asks_for_is_waited_for_though_no_longer_than_a_week() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        let asks = |seconds| Lesson { not_before: Some(now + Duration::from_secs(seconds)), ..failed(1) };
        assert_eq!(wait(asks(10), 0.0), 60, "never sooner than by itself");
        assert_eq!(wait(asks(7200), 1.0), 7200);
        assert_eq!(wait(asks(1 << 32), 0.0), 604_800);
        let past = Lesson { not_before: Some(SystemTime::UNIX_EPOCH), ..failed(1) };
        assert_eq!(wait(past, 0.0), 60);
    }
}
