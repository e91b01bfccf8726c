//! Warnings that come again and again: the first of a kind at once, then how many more there were, every 5 s.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Level;

/// For how long those of a kind are counted before it is told how many there were.
pub(super) const WINDOW: Duration = Duration::from_secs(5);

/// Kinds that are told apart. Beyond that they are told apart by where they come from only, of which there are few.
const KINDS: usize = 512;

/// What makes lines alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    /// Where it comes from: a place in the source, or a connection's cause.
    pub(crate) origin: &'static str,
    /// What it says.
    pub(crate) message: String,
    /// What it is about.
    pub(crate) labels: Labels,
}

/// What a line is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    pub(crate) listener: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) target: Option<String>,
}

/// Of what there were how many that nobody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) kind: Kind,
    pub(super) level: Level,
    pub(super) times: u64,
    /// In how long.
    pub(super) within: Duration,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is written.
    Written,
    /// It is counted; `first`: as the first one since somebody told.
    Counted {
        /// Whether there was none before it.
        first: bool,
    },
}

/// The kinds of lines of late.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<Kind, Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    level: Level,
    /// Lines that were written since.
    written: u32,
    /// Lines that were not.
    counted: u64,
}

impl Repeats {
    /// What becomes of a line of this kind, of which `burst` are written in each window.
    pub(crate) fn line(&self, kind: Kind, level: Level, burst: u32, now: Instant) -> Fate {
        let mut kinds = self.0.lock();
        let kind = known(&mut kinds, kind, now);
        let window = kinds.entry(kind).or_insert(Window { since: now, level, written: 0, counted: 0 });
        // One that is over and has something to tell waits for somebody to do so.
        if window.counted == 0 && now.saturating_duration_since(window.since) >= WINDOW {
            (window.since, window.written) = (now, 0);
        }
        if window.written < burst {
            window.written += 1;
            return Fate::Written;
        }
        window.counted += 1;
        Fate::Counted { first: window.counted == 1 }
    }

    /// What there is to tell by now, and when there is more.
    pub(super) fn due(&self, now: Instant) -> (Vec<Summary>, Option<Instant>) {
        let mut kinds = self.0.lock();
        let told = tell(&mut kinds, now, |window| now.saturating_duration_since(window.since) >= WINDOW);
        let next =
            kinds.values().filter(|window| window.counted > 0).map(|window| window.since + WINDOW).min();
        (told, next)
    }

    /// Everything that there is to tell.
    pub(super) fn all(&self, now: Instant) -> Vec<Summary> {
        tell(&mut self.0.lock(), now, |_| true)
    }
}

/// The kind that a line counts as: its own, unless there are too many.
fn known(kinds: &mut HashMap<Kind, Window>, kind: Kind, now: Instant) -> Kind {
    if kinds.len() >= KINDS && !kinds.contains_key(&kind) {
        kinds.retain(|_, window| window.counted > 0 || now.saturating_duration_since(window.since) < WINDOW);
        if kinds.len() >= KINDS {
            return Kind { message: String::from("of several kinds"), labels: Labels::default(), ..kind };
        }
    }
    kind
}

/// Tells what was counted in windows that are over; the next ones begin with nothing written, so that a storm is only
/// counted for as long as it lasts.
fn tell(kinds: &mut HashMap<Kind, Window>, now: Instant, is_over: impl Fn(&Window) -> bool) -> Vec<Summary> {
    let over = kinds.iter_mut().filter(|(_, window)| window.counted > 0 && is_over(window));
    over.map(|(kind, window)| {
        let within = now.saturating_duration_since(window.since);
        let times = std::mem::take(&mut window.counted);
        window.since = now;
        Summary { kind: kind.clone(), level: window.level, times, within }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(message: &str) -> Kind {
        Kind { origin: "here", message: message.to_owned(), labels: Labels::default() }
    }

    fn times(told: &[Summary]) -> Vec<u64> {
        told.iter().map(|summary| summary.times).collect()
    }

    #[test]
    fn the_first_is_written_and_the_others_are_counted() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let line = |after| repeats.line(kind("full"), Level::WARN, 1, start + Duration::from_millis(after));
        assert_eq!(line(0), Fate::Written);
        assert_eq!(line(1), Fate::Counted { first: true });
        for after in 2..4999 {
            assert_eq!(line(after), Fate::Counted { first: false });
        }
        let at = |after| repeats.due(start + Duration::from_millis(after));
        assert_eq!(at(4999), (vec![], Some(start + WINDOW)));
        let (told, next) = at(5000);
        assert_eq!((times(&told), next), (vec![4998], None));
        // It goes on, and is still only counted.
        assert_eq!(line(5001), Fate::Counted { first: true });
        assert_eq!(at(10_000).0[0].times, 1);
        // It was over for a while: the next one is told at once.
        assert_eq!(line(15_001), Fate::Written);
    }

    #[test]
    fn what_differs_in_anything_is_of_another_kind() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let line = |kind| repeats.line(kind, Level::WARN, 1, now);
        let labels = |route: &str| Labels { route: Some(route.to_owned()), ..Labels::default() };
        assert_eq!(line(kind("a")), Fate::Written);
        assert_eq!(line(kind("b")), Fate::Written);
        assert_eq!(line(Kind { origin: "there", ..kind("a") }), Fate::Written);
        assert_eq!(line(Kind { labels: labels("one"), ..kind("a") }), Fate::Written);
        assert_eq!(line(Kind { labels: labels("two"), ..kind("a") }), Fate::Written);
        assert_eq!(line(Kind { labels: labels("two"), ..kind("a") }), Fate::Counted { first: true });
    }

    #[test]
    fn a_storm_of_ever_new_kinds_is_bounded() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let fates = (0..10_000).map(|n| repeats.line(kind(&n.to_string()), Level::WARN, 1, now));
        let written = fates.filter(|fate| *fate == Fate::Written).count();
        assert_eq!(written, KINDS + 1);
        assert_eq!(repeats.0.lock().len(), KINDS + 1);
        assert_eq!(times(&repeats.all(now)), [10_000 - KINDS as u64 - 1]);
        // Later there is room again.
        assert_eq!(repeats.line(kind("new"), Level::WARN, 1, now + 2 * WINDOW), Fate::Written);
        assert!(repeats.0.lock().len() < KINDS);
    }
}
