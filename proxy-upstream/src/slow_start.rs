//! Slow start: a member that comes, or comes back, begins with a tenth of its weight.
//!
//! ```text
//!  100 % ┤           ┌────────     new in a change of a group that was there before, or usable again after it was down, drained or
//!        │        ╱              left alone by its breaker
//!   10 % ┤────╱
//!        └────┴──────┴────────► since it came
//!                 slow_start
//! ```
//! That it is back is noted by whoever finds it so (its check, its recovery, the operator who undoes its drain), and by whoever
//! chooses, for what changes with a choice alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::balance::Rank;
use crate::moment::{Moment, Moments};

/// What a member begins with, in percent of its weight: as Envoy's `min_weight_percent`.
const FIRST: u32 = 10;

/// When a member came, and whether it is away.
#[derive(Debug, Default)]
pub(crate) struct SlowStart {
    came: Moment,
    away: AtomicBool,
}

impl SlowStart {
    /// It comes: its share grows from `now` on.
    pub(crate) fn comes(&self, moments: Moments, now: Instant) {
        self.came.set(moments, now);
    }

    /// Notes whether it may be used: once it may again, it has come back.
    pub(crate) fn note(&self, rank: Rank, moments: Moments, now: impl FnOnce() -> Instant) {
        let away = rank >= Rank::Down;
        // Reading first keeps the usual path, where nothing changes, from writing.
        if self.away.load(Ordering::Relaxed) != away && self.away.swap(away, Ordering::Relaxed) && !away {
            self.comes(moments, now());
        }
    }

    /// How much of its weight it has, in percent, where that grows over a time.
    pub(crate) fn share(&self, over: Duration, moments: Moments, now: impl FnOnce() -> Instant) -> u32 {
        let Some(since) = self.came.since(moments, now) else { return 100 };
        if since >= over {
            return 100;
        }
        let grown = since.as_millis() * u128::from(100 - FIRST) / over.as_millis().max(1);
        FIRST + u32::try_from(grown).unwrap_or(100 - FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn who_was_there_from_the_start_has_its_whole_weight_and_who_comes_back_begins_with_a_tenth() {
        let began = Instant::now();
        let (start, moments) = (SlowStart::default(), Moments::from_now());
        let at = |seconds| began + Duration::from_secs(seconds);
        let share = |seconds| start.share(OVER, moments, || at(seconds));
        start.note(Rank::Usable, moments, || at(1));
        assert_eq!(share(1), 100);
        for rank in [Rank::Down, Rank::Open, Rank::Lags] {
            start.note(rank, moments, || at(2));
        }
        assert_eq!([share(2), share(7), share(11), share(12), share(1000)], [10, 55, 91, 100, 100]);
        start.note(Rank::Lags, moments, || at(20));
        start.note(Rank::Usable, moments, || at(20));
        assert_eq!(share(20), 100, "who merely lags was not away");
    }
}
