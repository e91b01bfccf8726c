//! When a certificate is renewed. Pure: chance is handed in.

use std::time::{Duration, SystemTime};

/// The time in which an authority wants a certificate to be renewed (ARI, RFC 9773).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From then on.
    pub start: SystemTime,
    /// Until then.
    pub end: SystemTime,
}

/// What is left of a lifetime when its certificate is renewed, where the authority says nothing: a third, as authorities recommend.
/// Ninety days are renewed thirty before their end, and six days two.
const LEFT: u32 = 3;

/// By how much of that a renewal may come earlier, at most: proxies that began together do not go on together.
const EARLIER: f64 = 0.1;

/// When a certificate that is valid `from` then `until` then is renewed; `draw`, from 0 to 1, chooses a moment among those that would
/// do. In a window that lies behind, that is at once.
#[must_use]
pub fn renew_at(from: SystemTime, until: SystemTime, window: Option<Window>, draw: f64) -> SystemTime {
    let draw = draw.clamp(0.0, 1.0);
    if let Some(Window { start, end }) = window
        && let Ok(width) = end.duration_since(start)
    {
        return start + width.mul_f64(draw);
    }
    let left = until.duration_since(from).unwrap_or_default() / LEFT;
    until - left - left.mul_f64(EARLIER * draw)
}

/// When an authority is asked for its window again: when it says, though not sooner than in an hour and not later than in a day
/// (RFC 9773, section 4.3.2).
#[must_use]
pub fn ask_again(after: Duration) -> Duration {
    after.clamp(Duration::from_secs(3600), Duration::from_secs(24 * 3600))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn ninety_days_are_renewed_thirty_before_their_end_or_a_little_earlier() {
        assert_eq!(renew_at(at(0), at(90 * DAY), None, 0.0), at(60 * DAY));
        assert_eq!(renew_at(at(0), at(90 * DAY), None, 1.0), at(57 * DAY));
        assert_eq!(renew_at(at(0), at(6 * DAY), None, 0.0), at(4 * DAY));
    }

    #[test]
    fn a_window_goes_over_the_lifetime_also_one_that_is_past() {
        let window = Some(Window { start: at(100), end: at(300) });
        assert_eq!(renew_at(at(0), at(90 * DAY), window, 0.5), at(200));
    }

    #[test]
    fn a_window_that_ends_before_it_begins_is_none() {
        let window = Some(Window { start: at(300), end: at(100) });
        assert_eq!(renew_at(at(0), at(90 * DAY), window, 0.0), at(60 * DAY));
    }

    #[test]
    fn an_authority_is_asked_again_within_a_day() {
        assert_eq!(ask_again(Duration::ZERO).as_secs(), 3600);
        assert_eq!(ask_again(Duration::from_secs(7 * DAY)).as_secs(), DAY);
        assert_eq!(ask_again(Duration::from_secs(6 * 3600)).as_secs(), 6 * 3600);
    }

    proptest! {
        #[test]
        fn it_is_always_within_the_lifetime(from in 0_u64..1 << 40, life in 1_u64..1 << 32, draw in 0.0_f64..=1.0) {
            let when = renew_at(at(from), at(from + life), None, draw);
            prop_assert!(at(from) <= when && when <= at(from + life));
        }
    }
}
