//! What is said of a pool's level. A shortage comes and goes with every connection where a limit is small, and is worth a line
//! now and then.

use std::cmp::Ordering;
use std::time::Duration;

use proxy_conn::Level;
use proxy_conn::overload::Change;
use tokio::time::Instant;
use tracing::{info, warn};

/// What was said last, and what was not.
#[derive(Debug, Default)]
pub(super) struct Story {
    at: Option<Instant>,
    /// The worst level that was said since then.
    said: Level,
    unsaid: Option<Unsaid>,
}

/// Changes of which nothing has been said, as one from where the first began to where the last led.
#[derive(Debug, Clone, Copy)]
struct Unsaid {
    change: Change,
    worst: Level,
    times: u64,
}

impl Story {
    /// Says what has changed, unless something was said less than `silence` ago: then it is said later, all together. What is
    /// worse than all that was said is said at once.
    pub(super) fn tell(&mut self, pool: &str, change: Option<Change>, silence: Duration, now: Instant) {
        let Some(Unsaid { change, worst, times }) = self.news(change, silence, now) else { return };
        let Change { from, to, signal, .. } = change;
        let changes = Some(times).filter(|times| *times > 1);
        match to.cmp(&from) {
            Ordering::Greater => warn!(%pool, %from, %to, %signal, changes, "overload: {change}"),
            Ordering::Equal => {
                warn!(%pool, %signal, changes, "overload: {to} again, and {worst} at the worst in between");
            }
            Ordering::Less => info!(%pool, %from, %to, %signal, changes, "overload: {change}"),
        }
    }

    fn news(&mut self, change: Option<Change>, silence: Duration, now: Instant) -> Option<Unsaid> {
        if let Some(change) = change {
            let unsaid = self.unsaid.get_or_insert(Unsaid { change, worst: change.to, times: 0 });
            unsaid.change = Change { from: unsaid.change.from, ..change };
            unsaid.worst = unsaid.worst.max(change.to);
            unsaid.times += 1;
        }
        let lately = self.at.is_some_and(|at| now.saturating_duration_since(at) < silence);
        let unsaid = self.unsaid.take_if(|unsaid| !lately || unsaid.change.to > self.said)?;
        let to = unsaid.change.to;
        if lately {
            self.said = to;
        } else {
            (self.at, self.said) = (Some(now), to);
        }
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::overload::Usage;
    use proxy_conn::{Overload, OverloadOptions, Readings};

    /// What is said of a pool of 20 with so many connections, one look every quarter of a second.
    fn said(looks: impl IntoIterator<Item = u64>) -> Vec<String> {
        let (mut breaker, mut story, start) =
            (Overload::new(OverloadOptions::default()), Story::default(), Instant::now());
        let silence = Duration::from_secs(5);
        let mut said = Vec::new();
        for (look, used) in (0..).zip(looks) {
            let now = start + Duration::from_millis(250 * look);
            let change =
                breaker.observe(&Readings { connections: Usage::new(used, 20), ..Readings::default() }, now);
            let news = story.news(change, silence, now);
            said.extend(news.map(|one| {
                let Unsaid { change: Change { from, to, .. }, worst, times } = one;
                format!("{look}: {from} → {to}, {times} changes, {worst} at the worst")
            }));
        }
        said
    }

    #[test]
    fn what_is_worse_than_all_that_was_said_is_said_at_once() {
        assert_eq!(
            said([17, 19, 0, 19, 0]),
            [
                "0: normal → tight, 1 changes, tight at the worst",
                "1: tight → shed, 1 changes, shed at the worst",
            ]
        );
    }

    #[test]
    fn the_first_change_is_said_at_once_and_a_storm_of_them_now_and_then() {
        let storm = (0..45).map(|look| if look % 2 == 0 { 20 } else { 0 });
        let quiet = std::iter::repeat_n(0, 40);
        insta::assert_snapshot!(said(storm.chain(quiet)).join("\n"), @r"
        0: normal → shed, 1 changes, shed at the worst
        20: shed → shed, 20 changes, shed at the worst
        40: shed → shed, 20 changes, shed at the worst
        60: shed → tight, 5 changes, shed at the worst
        80: tight → normal, 1 changes, normal at the worst
        ");
    }
}
