//! How fast a pool's connections grow.

use std::time::Duration;

use proxy_core::Bound;
use tokio::time::Instant;

use super::signal::Usage;

/// Opens minus ends, averaged over time (an exponential average: what happened a window ago counts about a third).
///
/// Opens minus ends within an interval is what the number of open connections grew by, so that number is all it needs.
/// In integers: it is exact on any machine, and nothing has to be rounded for a message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    last: Option<(Instant, u64)>,
    /// In millionths of a connection a second; below zero when they become fewer.
    rate: i128,
}

/// Where growth leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trend {
    /// Connections more a minute; 0 if they do not grow.
    pub(super) per_minute: u64,
    /// Until the limit is reached; for ever (`Duration::MAX`) if they do not grow.
    pub(super) left: Duration,
}

const MILLIONTHS: i128 = 1_000_000;
const NANOS: i128 = 1_000_000_000;

impl Growth {
    /// Takes in how many are `open` at `now`. The first call, and one at the time of the last, only set the base.
    pub(super) fn observe(&mut self, open: u64, now: Instant, window: Bound) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, open));
            return;
        };
        let elapsed = nanos(now.saturating_duration_since(then));
        if elapsed == 0 {
            return;
        }
        let grown = (i128::from(open) - i128::from(before)) * MILLIONTHS * NANOS;
        // rate += (grown / elapsed - rate) × elapsed / (window + elapsed)
        let correction = grown.saturating_sub(self.rate.saturating_mul(elapsed));
        self.rate = self.rate.saturating_add(correction / (nanos(window.get()) + elapsed));
        self.last = Some((now, open));
    }

    /// Where it leads, if it goes on like this.
    pub(super) fn trend(&self, connections: Usage) -> Trend {
        let Some(rate) = u128::try_from(self.rate).ok().filter(|rate| *rate > 0) else {
            return Trend { per_minute: 0, left: Duration::MAX };
        };
        let room = u128::from(connections.limit.saturating_sub(connections.used));
        let millis = room * 1000 * MILLIONTHS.unsigned_abs() / rate;
        Trend {
            per_minute: u64::try_from(rate * 60 / MILLIONTHS.unsigned_abs()).unwrap_or(u64::MAX),
            left: u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis),
        }
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Bound = Bound::secs(30);

    /// Observes once a second: at second `n`, `open(n)` are open.
    fn watched(seconds: u64, open: impl Fn(u64) -> u64) -> Growth {
        let (mut growth, start) = (Growth::default(), Instant::now());
        for second in 0..=seconds {
            growth.observe(open(second), start + Duration::from_secs(second), WINDOW);
        }
        growth
    }

    #[test]
    fn a_steady_rise_is_seen_as_what_it_is() {
        let trend = watched(600, |second| 100 + 10 * second).trend(Usage::new(6100, 7000));
        assert_eq!(trend.per_minute, 599);
        assert_eq!(trend.left.as_secs(), 90);
    }

    #[test]
    fn a_burst_is_forgotten_and_a_fall_is_no_growth() {
        let burst =
            |after| watched(after, |second| if second == 0 { 500 } else { 600 }).trend(Usage::new(600, 1000));
        assert_eq!([1, 30].map(|after| burst(after).left.as_secs()), [124, 320]);
        assert!(burst(300).left > Duration::from_secs(86_400));
        let fall = watched(10, |second| 1000 - 10 * second).trend(Usage::new(900, 1000));
        assert_eq!(fall, Trend { per_minute: 0, left: Duration::MAX });
    }

    #[test]
    fn one_observation_tells_nothing_and_two_at_once_no_more() {
        let (mut growth, now) = (Growth::default(), Instant::now());
        growth.observe(0, now, WINDOW);
        growth.observe(1_000_000, now, WINDOW);
        assert_eq!(growth.trend(Usage::new(500, 1000)).left, Duration::MAX);
        growth.observe(1_000_000, now + Duration::from_nanos(1), WINDOW);
        assert_ne!(growth.trend(Usage::new(500, 1000)).left, Duration::MAX);
    }

    #[test]
    fn a_full_pool_that_grows_has_no_time_left() {
        let growth = watched(10, |second| 1000 + second);
        assert_eq!(growth.trend(Usage::new(1010, 1000)).left, Duration::ZERO);
    }

    #[test]
    fn nothing_overflows() {
        let (mut growth, start) = (Growth::default(), Instant::now());
        for second in 0..100 {
            let open = if second % 2 == 0 { 0 } else { u64::MAX };
            growth.observe(open, start + Duration::from_nanos(second), Bound::MIN);
        }
        assert!(growth.trend(Usage::new(0, u64::MAX)).left < Duration::from_secs(1));
    }
}
