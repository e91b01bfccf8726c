//! What is known of a member's health: by checks of its own, by the outcomes of connections to it, and by its own word.
//!
//! ```text
//!  checks ──► Judge (rise, fall) ──┐
//!  outcomes ──► Ejections ─────────┼──► Health ── is_up, share: two relaxed loads at each choice
//!  a hop's word: load, draining ───┘        └──── view: state, since when, why
//! ```
//! Whoever is checked is judged by the check; outcomes can only take a member out in addition, for a while. A member of which
//! nothing is known may be used.

mod asking;
mod cause;
pub mod conversation;
pub mod exchange;
pub mod hop;
mod http;
mod judge;
mod lines;
mod mariadb;
mod options;
mod outcomes;
pub mod outliers;
mod postgres;
#[cfg(feature = "tls")]
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use once_cell::race::OnceBox;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use cause::{Finding, HealthCause};
pub use judge::{Judge, Standing};
#[cfg(feature = "tls")]
pub use options::Inside;
pub use options::{
    CheckHeader, CheckKind, CheckOptions, HealthOptions, HttpCheck, OutlierOptions, StatusRange,
};
pub use outcomes::{Outcome, Outcomes};

use hop::{Readiness, Word};

/// A check has found that it is not there.
const DOWN: u8 = 1;
/// Outcomes have taken it out for a while.
const EJECTED: u8 = 2;

/// What is known of a member's health, read at each choice without a lock. Unknown is up.
#[derive(Debug)]
pub struct Health {
    /// Why it may not be used: a bit for each reason.
    out: AtomicU8,
    /// Of its weight, what the member itself asks for, in percent.
    share: AtomicU8,
    /// How connections to it went.
    pub outcomes: Outcomes,
    /// Made when there is the first thing to say.
    story: OnceBox<Mutex<Story>>,
}

/// What there is to tell of it.
#[derive(Debug, Default)]
struct Story {
    options: Option<Arc<CheckOptions>>,
    standing: Standing,
    since: Option<Instant>,
    finding: Option<Finding>,
    ejection: Option<Ejection>,
    word: Option<Word>,
    checks: u64,
    failed: u64,
}

/// That outcomes have taken a member out.
#[derive(Debug, Clone)]
pub struct Ejection {
    /// Since when.
    pub since: Instant,
    /// Until when, at most: it is back then.
    pub until: Instant,
    /// Why.
    pub finding: Finding,
}

/// How a member is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HealthState {
    /// Nothing is known, and it is used.
    #[default]
    Unknown,
    /// Its check has found it in order.
    Up,
    /// Its check has found it out of order.
    Down,
    /// Outcomes of connections have taken it out for a while.
    Ejected,
    /// It says itself that it drains, and wants no new connections.
    Draining,
    /// It says itself that it can take no more for now: it is full, or sheds.
    Full,
}

impl HealthState {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Up, Self::Down, Self::Ejected, Self::Draining, Self::Full];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
            Self::Full => "full",
        }
    }
}

/// How a member is, for people.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct HealthView {
    /// In one word.
    pub state: HealthState,
    /// Since when; None where nothing has been found out yet.
    pub since: Option<Instant>,
    /// Why it is not up: what the last check found where that failed, or what the outcomes show.
    pub finding: Option<Finding>,
    /// Until when it is out at the most, where outcomes have taken it out.
    pub ejected_until: Option<Instant>,
    /// What it said last of itself, where it is a hop that is asked.
    pub word: Option<Word>,
    /// How often it was checked.
    pub checks: u64,
    /// How many of these failed.
    pub failed: u64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            out: AtomicU8::new(0),
            share: AtomicU8::new(100),
            outcomes: Outcomes::default(),
            story: OnceBox::new(),
        }
    }
}

impl Health {
    /// Whether it may be used, as far as checks and outcomes tell.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.out.load(Ordering::Relaxed) == 0
    }

    /// Whether a check has found it down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.out.load(Ordering::Relaxed) & DOWN != 0
    }

    /// How much of its weight it asks for itself, in percent: a hop that is loaded asks for less, one that drains for nothing.
    #[must_use]
    pub fn share(&self) -> u8 {
        self.share.load(Ordering::Relaxed)
    }

    /// How it is, for people.
    #[must_use]
    pub fn view(&self) -> HealthView {
        let Some(story) = self.story.get() else { return HealthView::default() };
        let story = story.lock();
        let ejected = story.ejection.as_ref();
        let word = story.word;
        let said = word.map_or(Readiness::Ready, |word| word.readiness);
        let state = match (story.standing, ejected, said) {
            (Standing::Down, ..) => HealthState::Down,
            (_, Some(_), _) => HealthState::Ejected,
            (Standing::Up, None, Readiness::Draining) => HealthState::Draining,
            (Standing::Up, None, Readiness::Full | Readiness::Shedding) => HealthState::Full,
            (Standing::Up, None, Readiness::Ready) => HealthState::Up,
            (Standing::Unknown, None, _) => HealthState::Unknown,
        };
        let taken_out = ejected.filter(|_| state == HealthState::Ejected);
        HealthView {
            state,
            since: taken_out.map(|ejection| ejection.since).or(story.since),
            finding: taken_out.map(|ejection| ejection.finding.clone()).or_else(|| story.finding.clone()),
            ejected_until: ejected.map(|ejection| ejection.until),
            word,
            checks: story.checks,
            failed: story.failed,
        }
    }

    /// How it is checked, if it is.
    #[must_use]
    pub fn check(&self) -> Option<Arc<CheckOptions>> {
        self.story.get()?.lock().options.clone()
    }

    /// It is checked so from now on, or no more: then nothing is known of it by checks.
    pub(crate) fn check_so(&self, options: Option<&Arc<CheckOptions>>) {
        if options.is_none() && self.story.get().is_none() {
            return;
        }
        let mut story = self.story().lock();
        story.options = options.cloned();
        if options.is_none() {
            (story.standing, story.since, story.finding, story.word) = Default::default();
            self.mark(DOWN, false);
            self.share.store(100, Ordering::Relaxed);
        }
    }

    /// A check has ended; how the member stands by it, since then if that is a change.
    pub(crate) fn checked(&self, standing: Standing, result: Result<Option<Word>, Finding>, now: Instant) {
        let mut story = self.story().lock();
        // Whoever is not checked any more is not judged by the last one.
        if story.options.is_none() {
            return;
        }
        story.checks += 1;
        match result {
            Ok(word) => {
                // What it says of itself dates from when it said something else.
                if readiness(story.word) != readiness(word) {
                    story.since = Some(now);
                }
                (story.word, story.finding) = (word, None);
                self.share.store(word.map_or(100, |word| word.share()), Ordering::Relaxed);
            }
            Err(finding) => {
                story.failed += 1;
                story.finding = Some(finding);
            }
        }
        if story.standing != standing {
            (story.standing, story.since) = (standing, Some(now));
        }
        self.mark(DOWN, standing == Standing::Down);
    }

    /// Outcomes take it out, or it is back.
    pub(crate) fn eject(&self, ejection: Option<Ejection>) {
        if ejection.is_none() && self.story.get().is_none() {
            return;
        }
        let mut story = self.story().lock();
        self.mark(EJECTED, ejection.is_some());
        story.ejection = ejection;
    }

    fn story(&self) -> &Mutex<Story> {
        self.story.get_or_init(Box::default)
    }

    fn mark(&self, bit: u8, on: bool) {
        if on {
            self.out.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.out.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

fn readiness(word: Option<Word>) -> Readiness {
    word.map_or(Readiness::Ready, |word| word.readiness)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding::new(HealthCause::Refused, "connection refused")
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_known_and_it_is_used_until_a_check_says_otherwise() {
        let health = Health::default();
        assert_eq!((health.is_up(), health.share(), health.view().state), (true, 100, HealthState::Unknown));
        health.check_so(Some(&Arc::default()));
        let now = Instant::now();
        health.checked(Standing::Unknown, Err(finding()), now);
        assert!(health.is_up(), "a check that failed is not down yet");
        health.checked(Standing::Down, Err(finding()), now);
        let view = health.view();
        assert_eq!((health.is_up(), view.state, view.since), (false, HealthState::Down, Some(now)));
        assert_eq!(view.finding.map(|finding| finding.cause), Some(HealthCause::Refused));
        assert_eq!((view.checks, view.failed), (2, 2));
        health.checked(Standing::Up, Ok(None), now);
        assert_eq!((health.is_up(), health.view().state), (true, HealthState::Up));
        assert!(health.view().finding.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_checked_any_more_is_not_held_down_by_the_last_check() {
        let health = Health::default();
        health.check_so(Some(&Arc::default()));
        health.checked(Standing::Down, Err(finding()), Instant::now());
        health.check_so(None);
        assert_eq!((health.is_up(), health.view().state), (true, HealthState::Unknown));
        health.checked(Standing::Down, Err(finding()), Instant::now());
        assert!(health.is_up(), "the check that was under way then");
    }

    #[tokio::test(start_paused = true)]
    async fn ejected_and_down_are_two_reasons() {
        let health = Health::default();
        health.check_so(Some(&Arc::default()));
        let now = Instant::now();
        let ejection = Ejection { since: now, until: now, finding: finding() };
        health.eject(Some(ejection));
        assert_eq!(
            (health.is_up(), health.is_down(), health.view().state),
            (false, false, HealthState::Ejected)
        );
        health.checked(Standing::Down, Err(finding()), now);
        health.eject(None);
        assert_eq!((health.is_up(), health.view().state), (false, HealthState::Down));
        health.checked(Standing::Up, Ok(None), now);
        assert!(health.is_up());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hop_asks_for_a_share_and_says_that_it_drains() {
        let health = Health::default();
        health.check_so(Some(&Arc::default()));
        let word = |readiness, load| Some(Word { readiness, load, ..Word::default() });
        health.checked(Standing::Up, Ok(word(Readiness::Ready, 30)), Instant::now());
        assert_eq!((health.share(), health.view().state), (70, HealthState::Up));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        health.checked(Standing::Up, Ok(word(Readiness::Draining, 30)), Instant::now());
        let view = health.view();
        assert_eq!((health.is_up(), health.share(), view.state), (true, 0, HealthState::Draining));
        assert_eq!(view.since, Some(Instant::now()));
    }

    /// A group may have ten thousand members, and few of them anything to tell.
    #[test]
    fn of_a_member_that_is_neither_checked_nor_ejected_little_is_kept() {
        assert!(size_of::<Health>() <= 40, "{}", size_of::<Health>());
    }
}
