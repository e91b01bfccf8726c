//! What is said of the places of the process: in a storm of short connections at the limit they are taken and given back
//! thousands of times a second.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

/// How long nothing is said after a line.
const SILENCE: Duration = Duration::from_secs(5);

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Places {
    full: bool,
    fillings: u64,
    at: Option<Instant>,
}

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// All are taken.
    Full,
    /// Some are free again.
    Free,
    /// All were taken in between.
    Was,
}

impl Places {
    /// Says whether all are taken, and how often they have been, where that is news.
    pub(super) fn tell(&mut self, (full, fillings, connections): (bool, u64, usize), now: Instant) {
        let times = fillings.saturating_sub(self.fillings);
        match self.news(full, fillings, now) {
            None => {}
            Some(News::Full) => info!(connections, times, "no capacity: not accepting"),
            Some(News::Free) => info!(connections, times, "room again: accepting"),
            Some(News::Was) => info!(connections, times, "there was no room at times; accepting"),
        }
    }

    fn news(&mut self, full: bool, fillings: u64, now: Instant) -> Option<News> {
        let lately = self.at.is_some_and(|at| now.saturating_duration_since(at) < SILENCE);
        let news = match (self.full, full) {
            _ if lately => return None,
            (false, true) => News::Full,
            (true, false) => News::Free,
            (false, false) if fillings > self.fillings => News::Was,
            (false, false) | (true, true) => return None,
        };
        *self = Self { full, fillings, at: Some(now) };
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_a_line_in_five_seconds() {
        let (mut places, start) = (Places::default(), Instant::now());
        let mut at =
            |tenths, full, fillings| places.news(full, fillings, start + Duration::from_millis(100 * tenths));
        assert_eq!(at(0, false, 0), None);
        assert_eq!(at(1, true, 1), Some(News::Full));
        // It goes on and off, and is off when somebody looks.
        for tenths in 2..51 {
            assert_eq!(at(tenths, tenths % 2 == 0, tenths), None);
        }
        assert_eq!(at(51, false, 51), Some(News::Free));
        assert_eq!(at(52, false, 52), None);
        assert_eq!(at(101, false, 99), Some(News::Was));
        assert_eq!(at(200, false, 99), None, "it is over, and that was said");
        assert_eq!(at(201, true, 100), Some(News::Full));
        assert_eq!(at(300, true, 100), None);
    }
}
