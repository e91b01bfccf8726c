//! What was: the figures of the process and of each of its parts over ten minutes, six hours and fourteen days, in bounded memory.
//!
//! ```text
//! Picture ─► one step a second ─┬─► seconds     600 of them     ─► sums of a minute and three minutes
//!            and subject        ├─► 10 seconds  2160, six hours ─► sum of an hour
//!                               └─► 5 minutes   4032, 14 days
//! ```
//! A step is kept as by how much its rounded numbers differ from those before it: a bit where nothing does, about three bytes where
//! everything does. Seconds are kept as they were counted (up to 2000 a second), so rules judge by exact numbers; in the longer steps
//! counts are rounded to a 16th at most and bytes to an 8th.
//!
//! # Memory
//! [`most_bytes`]: 20 KiB a route and 2 MiB at least, 16 MiB at most, all of it included. Where that does not hold everything (many
//! routes that are busy in ever other ways), the oldest part of the longest spans goes first; six hours become one at the least. If that
//! is not enough, and beyond [`MOST_SUBJECTS`], subjects go that have been idle the longest.
//!
//! What it is not: exact books (those are the counters), or a store: it is in memory, and an upgrade hands it on.

mod bits;
mod ring;
mod rings;
mod saved;
mod scale;
mod span;
mod step;
mod window;

use std::collections::HashMap;
use std::time::Duration;

use crate::past::{Figure, Past};
use crate::picture::{Picture, Reading};
use crate::subject::Subject;
use rings::Rings;

pub use saved::Unreadable;
pub use span::Span;
pub use step::Step;

/// So many subjects have a past, at most. One that is idle takes three KiB.
pub const MOST_SUBJECTS: usize = 2048;

/// So many seconds without a picture may have been a late tick. What was in them is told apart evenly; longer, and the process stood
/// still, which is a gap.
const LATE: u32 = 2;

/// A first picture later than that is not of what has happened just now.
const LATE_START: Duration = Duration::from_secs(60);

/// What a subject takes beside its rings: its place in the table, which may be half empty, its name, and what an allocator adds.
const SUBJECT_TAKES: usize = 2 * size_of::<(Subject, Box<Rings>)>() + 80;

/// So much memory is taken at most, with that many routes: 20 KiB a route (its targets, the listeners and the process are within
/// that), 2 MiB at least, 16 MiB at most.
#[must_use]
pub const fn most_bytes(routes: usize) -> usize {
    let bytes = routes.saturating_mul(20 << 10);
    if bytes < 2 << 20 {
        2 << 20
    } else if bytes > 16 << 20 {
        16 << 20
    } else {
        bytes
    }
}

/// What was of one subject, in equal steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Series {
    /// When the last step ended, since 1970.
    pub until: Duration,
    /// How long a step is.
    pub step: Duration,
    /// The steps, the oldest first; `None` where nothing is known of one.
    pub steps: Vec<Option<Step>>,
}

impl Series {
    /// One of which nothing is known.
    #[must_use]
    pub fn none(span: Span) -> Self {
        Self { step: span.step(), ..Self::default() }
    }
}

/// What was.
#[derive(Debug, Clone, Default)]
pub struct History {
    subjects: HashMap<Subject, Box<Rings>>,
    clock: Clock,
    /// Whether who is new may have counted before: a subject was dropped, or nobody had looked since the process was started.
    unknown_before: bool,
}

/// Which second a picture ends. The process's own clock, which nobody sets, counted from the time of day at its start.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    /// The time of day at the start of the process, in milliseconds since 1970.
    start_ms: u64,
    /// So much later than whole seconds pictures are made.
    phase_ms: Option<u64>,
    /// The second of the first picture of all, of former processes too; 0 before one.
    first: u32,
    /// That of the last one; 0 before one.
    last: u32,
}

impl Clock {
    /// The second that a picture ends, if it is not the one that the picture before has ended. A tick may be early or late by half a
    /// second.
    fn tick(&mut self, at: Duration) -> Option<u32> {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX).saturating_add(self.start_ms);
        let phase_ms = *self.phase_ms.get_or_insert_with(|| {
            // A clock that was set back between two processes: the past is not written anew.
            let behind = (u64::from(self.last) + 1).saturating_sub(at_ms / 1000);
            if self.last > 0 {
                self.start_ms += behind * 1000;
            }
            at_ms % 1000
        });
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX).saturating_add(self.start_ms);
        let second = u32::try_from((at_ms.saturating_sub(phase_ms) + 500) / 1000).unwrap_or(u32::MAX);
        (second > self.last).then_some(second)
    }
}

impl History {
    /// An empty one of a process that was started at that time, since 1970.
    #[must_use]
    pub fn new(started: Duration) -> Self {
        let start_ms = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
        let clock = Clock { start_ms, ..Clock::default() };
        Self { subjects: HashMap::new(), clock, unknown_before: false }
    }

    /// Adds what is so now. To be called once a second: a second call within the same second is taken together with the next.
    pub fn push(&mut self, picture: &Picture) {
        let is_late = self.clock.phase_ms.is_none() && picture.at > LATE_START;
        self.unknown_before |= is_late;
        let Some(second) = self.clock.tick(picture.at) else { return };
        let last = std::mem::replace(&mut self.clock.last, second);
        if self.clock.first == 0 {
            self.clock.first = second;
        }
        let missed = second - last - 1;
        let seconds = if missed <= LATE && last > 0 { last + 1..=second } else { second..=second };
        for (subject, reading) in &picture.readings {
            self.rings_of(subject, reading).push(reading, seconds.clone());
        }
        for rings in self.subjects.values_mut().filter(|rings| rings.seen() != second) {
            rings.tick(second, None);
        }
        self.subjects.retain(|_, rings| !rings.is_empty());
        self.unknown_before &= !is_late;
        self.keep_within_bounds();
    }

    fn rings_of(&mut self, subject: &Subject, reading: &Reading) -> &mut Rings {
        let unknown_before = self.unknown_before;
        self.subjects.entry(subject.clone()).or_insert_with(|| {
            let mut rings = Box::new(Rings::new());
            if unknown_before {
                rings.begin_at(reading);
            }
            rings
        })
    }

    /// What was of a subject over a span, up to the last step that is over; `None` where nothing is known of it.
    #[must_use]
    pub fn series(&self, subject: &Subject, span: Span) -> Option<Series> {
        Some(self.subjects.get(subject)?.series(span, self.clock.last))
    }

    /// Those of which something is known, in order.
    #[must_use]
    pub fn subjects(&self) -> Vec<&Subject> {
        let mut subjects: Vec<_> = self.subjects.keys().collect();
        subjects.sort_unstable();
        subjects
    }

    /// The same, those first that have something open or happening, or had last.
    #[must_use]
    pub fn liveliest(&self) -> Vec<&Subject> {
        let mut subjects: Vec<_> = self.subjects.iter().collect();
        subjects.sort_unstable_by_key(|(subject, rings)| (std::cmp::Reverse(rings.active), *subject));
        subjects.into_iter().map(|(subject, _)| subject).collect()
    }

    /// What was of a subject within the last `over`, as one step. `None` where that is longer than anything is known.
    #[must_use]
    pub fn within(&self, subject: &Subject, over: Duration) -> Option<Within> {
        let seconds = u32::try_from(over.as_secs()).ok()?;
        let known = self.clock.last.checked_sub(self.clock.first)? + 1;
        if known < seconds {
            return None;
        }
        let (step, grown) = self.subjects.get(subject)?.within(seconds, self.clock.last);
        Some(Within { step, grown })
    }

    /// What it takes of memory, in bytes; the estimate that the bound is held by.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.subjects.values().map(|rings| rings.bytes() + SUBJECT_TAKES).sum()
    }

    /// Shortens and drops until the bound holds.
    fn keep_within_bounds(&mut self) {
        while self.subjects.len() > MOST_SUBJECTS && self.drop_idlest() {}
        let is_route = |subject: &&Subject| matches!(subject, Subject::Route(_));
        let most = most_bytes(self.subjects.keys().filter(is_route).count());
        while self.bytes() > most && (self.shorten_largest() || self.drop_idlest()) {}
    }

    /// Forgets the oldest part of who takes the most. `false` where all are as short as they may be.
    fn shorten_largest(&mut self) -> bool {
        let second = self.clock.last;
        let long = self.subjects.values_mut().filter(|rings| rings.may_be_shortened(second));
        let largest = long.max_by_key(|rings| rings.bytes());
        largest.map(|rings| rings.shorten()).is_some()
    }

    /// Drops who has been idle the longest, the process never. `false` where there is no other.
    fn drop_idlest(&mut self) -> bool {
        let but_the_process = self.subjects.iter().filter(|(subject, _)| **subject != Subject::Process);
        let idlest = but_the_process.min_by_key(|(_, rings)| rings.active);
        let Some(subject) = idlest.map(|(subject, _)| subject.clone()) else { return false };
        self.unknown_before = true;
        self.subjects.remove(&subject).is_some()
    }
}

/// What was of a subject within some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Within {
    /// All of it as one step.
    pub step: Step,
    /// By how many more are open at its end than before it.
    pub grown: i64,
}

impl Past for History {
    fn change(&self, subject: &Subject, figure: Figure, over: Duration) -> Option<f64> {
        let Within { step, grown } = self.within(subject, over)?;
        #[expect(clippy::cast_precision_loss, reason = "15 digits are plenty")]
        let float = |count: u64| count as f64;
        Some(match figure {
            #[expect(clippy::cast_precision_loss, reason = "15 digits are plenty")]
            Figure::Open => grown as f64,
            Figure::Opened => float(step.opened),
            Figure::Ended => float(step.ended),
            Figure::Failed => float(step.failed),
            Figure::Refused => float(step.refused),
            Figure::FromClient => float(step.from_client),
            Figure::FromBackend => float(step.from_backend),
        })
    }
}

#[cfg(test)]
mod tests;
