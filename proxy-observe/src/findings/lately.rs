//! What was counted within the last minute, by subject and cause: a picture has only sums since the start.
//!
//! Kept are differences, and those that are none are left out: of a subject that nothing became of there is nothing here.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use proxy_conn::{Cause, Totals};

use crate::picture::Picture;
use crate::subject::Subject;

/// What a minute is made of: a part is forgotten whole.
const PART: Duration = Duration::from_secs(5);
const PARTS: usize = 12;
const MINUTE: Duration = Duration::from_secs(60);

/// What was counted of one subject in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) opened: u64,
    pub(crate) ended: u64,
    pub(crate) failed: u64,
    pub(crate) unanswered: u64,
    /// By cause, those of which there was none left out, in no order.
    by_cause: Vec<(Cause, u64)>,
}

impl Counted {
    /// What `now` has more than `before`. A counter that has fallen is a new one.
    fn between(before: &Totals, now: &Totals) -> Self {
        let rise = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now);
        let causes =
            Cause::ALL.iter().map(|cause| (*cause, rise(before.ended_of(*cause), now.ended_of(*cause))));
        Self {
            opened: rise(before.opened, now.opened),
            ended: rise(before.ended(), now.ended()),
            failed: rise(before.failed, now.failed),
            unanswered: rise(before.unanswered, now.unanswered),
            by_cause: causes.filter(|(_, count)| *count > 0).collect(),
        }
    }

    fn is_nothing(&self) -> bool {
        self.opened == 0 && self.ended == 0 && self.failed == 0
    }

    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.ended += other.ended;
        self.failed += other.failed;
        self.unanswered += other.unanswered;
        for (cause, count) in &other.by_cause {
            match self.by_cause.iter_mut().find(|(known, _)| known == cause) {
                Some((_, known)) => *known += count,
                None => self.by_cause.push((*cause, *count)),
            }
        }
    }

    /// How many ended of `cause`.
    pub(crate) fn of(&self, cause: Cause) -> u64 {
        self.by_cause.iter().find(|(known, _)| *known == cause).map_or(0, |(_, count)| *count)
    }

    /// The cause, of those that `among` has, of which most ended.
    pub(crate) fn most(&self, among: impl Fn(Cause) -> bool) -> Option<(Cause, u64)> {
        self.by_cause.iter().copied().filter(|(cause, _)| among(*cause)).max_by_key(|(_, count)| *count)
    }
}

/// One part of the last minute.
#[derive(Debug, Default)]
struct Part {
    until: Duration,
    subjects: HashMap<Subject, Counted>,
    /// What else only rises, by name.
    others: HashMap<&'static str, u64>,
}

/// The last minute.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    before: HashMap<Subject, Totals>,
    others: HashMap<&'static str, u64>,
    /// The latest last.
    parts: VecDeque<Part>,
    began: Option<Duration>,
}

impl Lately {
    /// Takes in a picture, and `others`: counters by name. What was counted before the first picture is of no minute, but for a
    /// subject that later ones have first: it began then.
    pub(crate) fn add(&mut self, picture: &Picture, others: &[(&'static str, u64)]) {
        let (began, at) = (*self.began.get_or_insert(picture.at), picture.at);
        // A process that is younger than a minute has counted nothing before it.
        let first = began == at && at >= MINUTE;
        if self.parts.back().is_none_or(|part| at >= part.until) {
            self.parts.push_back(Part { until: at + PART, ..Part::default() });
        }
        while self.parts.len() > PARTS {
            self.parts.pop_front();
        }
        let Some(part) = self.parts.back_mut() else { return };
        let mut seen = HashMap::with_capacity(picture.readings.len());
        for (subject, reading) in &picture.readings {
            let before = self.before.get(subject).copied().unwrap_or_default();
            let counted = if first { Counted::default() } else { Counted::between(&before, &reading.totals) };
            if !counted.is_nothing() {
                part.subjects.entry(subject.clone()).or_default().add(&counted);
            }
            seen.insert(subject.clone(), reading.totals);
        }
        self.before = seen;
        for (name, now) in others {
            // What others count may have begun long ago.
            let before = self.others.insert(name, *now).unwrap_or(*now);
            *part.others.entry(name).or_default() += now.checked_sub(before).unwrap_or(*now);
        }
    }

    /// What was counted of `subject` within the last minute, of which up to five seconds may be missing.
    pub(crate) fn of(&self, subject: &Subject) -> Counted {
        let mut sum = Counted::default();
        self.parts.iter().filter_map(|part| part.subjects.get(subject)).for_each(|part| sum.add(part));
        sum
    }

    /// By how much a counter has risen within the last minute.
    pub(crate) fn other(&self, name: &str) -> u64 {
        self.parts.iter().filter_map(|part| part.others.get(name)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted;

    fn look(lately: &mut Lately, at: u64, ended: u64, lost: u64) {
        let mut picture = planted::picture(at);
        planted::route(&mut picture, "a").totals = planted::totals(&[(Cause::Finished, ended)]);
        lately.add(&picture, &[("lost", lost)]);
    }

    #[test]
    fn the_last_minute_is_what_came_within_it() {
        let (mut lately, a) = (Lately::default(), planted::subject("a"));
        for at in 1..=60 {
            look(&mut lately, at, at, 7);
        }
        assert_eq!((lately.of(&a).ended, lately.of(&a).of(Cause::Finished)), (60, 60));
        assert_eq!(lately.other("lost"), 0, "seven were lost before anybody looked");
        for at in 61..=200 {
            look(&mut lately, at, at, 9);
        }
        let ended = lately.of(&a).ended;
        assert!((55..=60).contains(&ended), "{ended}");
        assert_eq!(lately.of(&planted::subject("b")), Counted::default());
    }

    #[test]
    fn what_a_process_had_counted_long_before_the_first_look_is_of_no_minute() {
        let (mut lately, a) = (Lately::default(), planted::subject("a"));
        look(&mut lately, 1000, 500, 0);
        assert_eq!(lately.of(&a).ended, 0);
        look(&mut lately, 1001, 503, 0);
        assert_eq!(lately.of(&a).ended, 3);
        // A counter that begins anew is one that began anew.
        look(&mut lately, 1002, 2, 0);
        assert_eq!(lately.of(&a).ended, 5);
    }

    #[test]
    fn a_counter_that_rises_is_of_the_minute_in_which_it_does() {
        let mut lately = Lately::default();
        look(&mut lately, 1, 0, 7);
        look(&mut lately, 2, 0, 10);
        assert_eq!(lately.other("lost"), 3);
        for at in 3..70 {
            look(&mut lately, at, 0, 10);
        }
        assert_eq!(lately.other("lost"), 0);
    }
}
