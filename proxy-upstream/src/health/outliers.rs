//! Which members outcomes speak against, and for how long these are out: pure rules over counts.
//!
//! ```text
//!            so many bad ends in a row, or a share of them        ┌ once as long, then twice, four times … `longest_ejection`
//!            far above that of the others                         │
//!  in ───────────────────────────────────────────────► out ───────┴──► in: nothing is held against it
//!            unless too many would be out
//! ```
//! A member is looked at from one look to the next; what it did while it was out is not counted.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::cause::{Finding, HealthCause};
use super::options::OutlierOptions;
use super::outcomes::Counts;

/// With fewer ends than this a share says nothing: of one in two bad ends nobody knows whether it is the member's doing.
const FEWEST: u64 = 5;

/// What there is to see of a member at one look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// How its connections went, so far.
    pub counts: Counts,
    /// Whether a check has found it down: it is out as it is.
    pub is_down: bool,
}

/// What becomes of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It is out until then.
    Eject(Instant, Finding),
    /// It is back.
    Return,
}

/// What is remembered of a member.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The counts at the last look.
    last: Counts,
    /// Good and bad ends of each look that is within the window, the newest last.
    window: VecDeque<(u32, u32)>,
    good: u64,
    bad: u64,
    out_until: Option<Instant>,
    /// How often it was taken out, less what it has been forgiven.
    times: u32,
    /// Since when it is in, as far as forgiveness goes.
    in_since: Option<Instant>,
}

/// What happened before it is first looked at is not its record's.
impl From<Counts> for Record {
    fn from(last: Counts) -> Self {
        Self { last, ..Self::default() }
    }
}

impl Record {
    /// Takes in what happened since the last look.
    fn take(&mut self, counts: Counts, window: u64) {
        let new = (counts.good.wrapping_sub(self.last.good), counts.bad.wrapping_sub(self.last.bad));
        self.last = counts;
        if self.out_until.is_some() || new == (0, 0) {
            return;
        }
        self.window.push_back(new);
        self.good += u64::from(new.0);
        self.bad += u64::from(new.1);
        while let Some(&(good, bad)) = self.window.front() {
            let ends = u64::from(good) + u64::from(bad);
            if self.good + self.bad - ends < window {
                break;
            }
            self.window.pop_front();
            self.good -= u64::from(good);
            self.bad -= u64::from(bad);
        }
    }

    fn clear(&mut self) {
        self.window.clear();
        (self.good, self.bad) = (0, 0);
    }

    /// Whether it is out.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.out_until.is_some()
    }
}

/// Looks at all members of a group, in the same order each time; what becomes of which. With either ruling its streak has to
/// begin anew ([`Outcomes`](super::Outcomes)).
pub fn look(
    records: &mut Vec<Record>,
    seen: &[Seen],
    options: &OutlierOptions,
    now: Instant,
) -> Vec<(usize, Ruling)> {
    records.resize_with(seen.len(), Record::default);
    let mut rulings: Vec<(usize, Ruling)> = Vec::new();
    for (nth, (record, seen)) in records.iter_mut().zip(seen).enumerate() {
        record.take(seen.counts, u64::from(options.window.get()));
        if record.out_until.is_some_and(|until| until <= now) {
            (record.out_until, record.in_since) = (None, Some(now));
            record.clear();
            rulings.push((nth, Ruling::Return));
        }
        forgive(record, options, now);
    }
    // Whoever is just back has a streak of the time when it was out.
    let is_back = |nth: usize| rulings.iter().any(|(back, _)| *back == nth);
    let mut guilty: Vec<(usize, Finding)> = (0..seen.len())
        .filter(|nth| seen.get(*nth).is_some_and(|seen| !seen.is_down) && !is_back(*nth))
        .filter_map(|nth| Some((nth, guilt(records, seen, nth, options)?)))
        .collect();
    // The worst first, where not all may go.
    guilty.sort_by_key(|(nth, _)| {
        let (record, seen) = (records.get(*nth), seen.get(*nth));
        std::cmp::Reverse((record.map_or(0, bad_percent), seen.map_or(0, |seen| seen.counts.streak)))
    });
    let most = most_out(seen.len(), options);
    let mut out = records.iter().zip(seen).filter(|(record, seen)| record.is_out() || seen.is_down).count();
    for (nth, finding) in guilty {
        if out >= most {
            break;
        }
        if let Some(record) = records.get_mut(nth) {
            out += 1;
            let until = now + term(record.times, options);
            record.times = record.times.saturating_add(1);
            (record.out_until, record.in_since) = (Some(until), None);
            record.clear();
            rulings.push((nth, Ruling::Eject(until, finding)));
        }
    }
    rulings
}

/// How many of so many members may be out: the share that is configured, at least one, and never all.
fn most_out(members: usize, options: &OutlierOptions) -> usize {
    let share = members * options.max_ejected.get() as usize / 100;
    share.max(1).min(members.saturating_sub(1))
}

/// For how long a member is out that was so many times before.
fn term(times: u32, options: &OutlierOptions) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    options
        .ejection
        .get()
        .saturating_mul(factor)
        .min(options.longest_ejection.get())
        .max(options.ejection.get())
}

/// Who has been in for as long as the longest ejection has one less held against it.
fn forgive(record: &mut Record, options: &OutlierOptions, now: Instant) {
    if record.times > 0
        && let Some(since) = record.in_since
        && now.saturating_duration_since(since) >= options.longest_ejection.get()
    {
        record.times -= 1;
        record.in_since = Some(now);
    }
}

/// What speaks against a member that is in.
fn guilt(records: &[Record], seen: &[Seen], nth: usize, options: &OutlierOptions) -> Option<Finding> {
    let (record, streak) = (records.get(nth)?, seen.get(nth)?.counts.streak);
    if record.is_out() {
        return None;
    }
    if streak >= options.consecutive.get() {
        let text = format!("{streak} connections in a row failed, or ended before its first byte");
        return Some(Finding::new(HealthCause::ConsecutiveFailures, text));
    }
    let ends = record.good + record.bad;
    if ends < FEWEST {
        return None;
    }
    let others = records.iter().enumerate().filter(|(other, record)| *other != nth && !record.is_out());
    let (good, bad) = others.fold((0, 0), |(good, bad), (_, other)| (good + other.good, bad + other.bad));
    let (own, theirs) = (percent(record.bad, ends), percent(bad, good + bad));
    // Where nothing is known of the others there is nothing to compare with.
    let compared = good + bad >= FEWEST && own >= theirs + u64::from(options.share.get().max(1));
    compared.then(|| {
        let text =
            format!("{own} % of its last {ends} connections ended badly, and {theirs} % of the others'");
        Finding::new(HealthCause::FailureShare, text)
    })
}

fn bad_percent(record: &Record) -> u64 {
    percent(record.bad, record.good + record.bad)
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_values::{Bound, Whole};

    use super::*;
    use crate::options::Percent;

    /// A group that is looked at once a second.
    struct World {
        records: Vec<Record>,
        seen: Vec<Seen>,
        options: OutlierOptions,
        now: Instant,
    }

    impl World {
        fn of(members: usize, options: OutlierOptions) -> Self {
            let seen = vec![Seen::default(); members];
            Self { records: Vec::new(), seen, options, now: Instant::now() }
        }

        fn ends(&mut self, nth: usize, good: u32, bad: u32) {
            let counts = &mut self.seen[nth].counts;
            counts.good = counts.good.wrapping_add(good);
            counts.bad = counts.bad.wrapping_add(bad);
            counts.streak = if good > 0 { 0 } else { counts.streak + bad };
        }

        /// Looks a second later; who was taken out by which cause, who is back.
        fn look(&mut self) -> Vec<String> {
            self.now += Duration::from_secs(1);
            let rulings = look(&mut self.records, &self.seen, &self.options, self.now);
            let told = rulings.into_iter().map(|(nth, ruling)| match ruling {
                Ruling::Eject(until, finding) => {
                    self.seen[nth].counts.streak = 0;
                    format!("{nth} {} {}s", finding.cause, (until - self.now).as_secs())
                }
                Ruling::Return => {
                    self.seen[nth].counts.streak = 0;
                    format!("{nth} back")
                }
            });
            told.collect()
        }
    }

    fn options() -> OutlierOptions {
        OutlierOptions::default()
    }

    #[test]
    fn so_many_in_a_row_and_not_one_fewer() {
        let mut world = World::of(2, options());
        world.ends(0, 0, 4);
        assert!(world.look().is_empty());
        world.ends(0, 1, 0);
        world.ends(0, 0, 4);
        assert!(world.look().is_empty(), "a good one in between");
        world.ends(0, 0, 1);
        assert_eq!(world.look(), ["0 consecutive_failures 10s"]);
    }

    #[test]
    fn a_share_is_compared_with_the_others() {
        let share = |own: (u32, u32), others: (u32, u32)| {
            let mut world = World::of(3, options().consecutive(Whole::nearest(1000)));
            world.ends(0, 0, own.1);
            world.ends(0, own.0, 0);
            (1..3).for_each(|nth| world.ends(nth, others.0, others.1));
            world.look()
        };
        let out = ["0 failure_share 10s".to_owned()];
        assert_eq!(share((50, 50), (100, 0)), out);
        assert!(share((51, 49), (100, 0)).is_empty(), "49 % against 0");
        assert_eq!(share((30, 70), (80, 20)), out, "70 % against 20");
        assert!(share((31, 69), (80, 20)).is_empty(), "69 % against 20");
        assert!(share((0, 100), (0, 100)).is_empty(), "all are as bad: it is not the member");
        assert!(share((0, 4), (100, 0)).is_empty(), "four are too few");
        assert_eq!(share((0, 5), (100, 0)), out);
        assert!(share((0, 100), (2, 0)).is_empty(), "nothing is known of the others");
    }

    #[test]
    fn a_window_forgets() {
        let mut world = World::of(2, options().consecutive(Whole::nearest(1000)).window(Whole::nearest(10)));
        world.ends(0, 0, 4);
        world.ends(0, 5, 0);
        world.ends(1, 100, 0);
        assert!(world.look().is_empty());
        for _ in 0..10 {
            world.ends(0, 1, 0);
            assert!(world.look().is_empty(), "4 of 10, and ever fewer");
        }
        world.ends(0, 0, 4);
        assert!(world.look().is_empty(), "the first four are forgotten");
        world.ends(0, 0, 1);
        assert_eq!(world.look(), ["0 failure_share 10s"], "5 of 10");
    }

    #[test]
    fn terms_double_up_to_the_longest_and_are_forgiven() {
        let mut world = World::of(2, options().longest_ejection(Bound::secs(35)));
        let mut terms = Vec::new();
        for _ in 0..4 {
            world.ends(0, 0, 5);
            terms.extend(world.look());
            while world.records[0].is_out() {
                assert!(world.look().iter().all(|told| told == "0 back"));
            }
        }
        let term = |secs: u32| format!("0 consecutive_failures {secs}s");
        assert_eq!(terms, [10, 20, 35, 35].map(term));
        for _ in 0..35 * 3 {
            world.look();
        }
        world.ends(0, 0, 5);
        assert_eq!(world.look(), [term(20)], "three of four are forgiven");
    }

    #[test]
    fn what_it_did_while_it_was_out_is_not_held_against_it() {
        let mut world = World::of(2, options());
        world.ends(0, 0, 5);
        assert_eq!(world.look().len(), 1);
        world.ends(0, 0, 400);
        let mut told = Vec::new();
        for _ in 0..20 {
            told.extend(world.look());
        }
        assert_eq!(told, ["0 back"]);
    }

    #[test]
    fn never_all_and_never_more_than_may_be() {
        let bad = |members: usize, most: u32, down: usize| {
            let mut world = World::of(members, options().max_ejected(Percent::nearest(most)));
            for nth in 0..members {
                world.seen[nth].is_down = nth < down;
                world.ends(nth, 0, 5 + u32::try_from(nth).unwrap());
            }
            world.look()
        };
        assert!(bad(1, 100, 0).is_empty(), "a single one is never taken out");
        assert_eq!(bad(2, 100, 0).len(), 1, "one is left");
        assert_eq!(bad(10, 50, 0).len(), 5);
        assert_eq!(bad(10, 59, 0).len(), 5);
        assert_eq!(bad(3, 10, 0), ["2 consecutive_failures 10s"], "one in any case, the worst");
        assert_eq!(bad(10, 50, 4).len(), 1, "those that are down are out, too");
        assert!(bad(2, 50, 1).is_empty());
        assert!(bad(0, 50, 0).is_empty());
    }

    #[test]
    fn counts_wrap() {
        let mut world = World::of(2, options());
        world.seen[0].counts = Counts { good: u32::MAX, bad: u32::MAX - 1, streak: 0 };
        world.records = vec![Record { last: world.seen[0].counts, ..Record::default() }, Record::default()];
        world.ends(0, 3, 0);
        world.ends(0, 0, 3);
        assert!(world.look().is_empty());
        assert_eq!((world.records[0].good, world.records[0].bad), (3, 3));
    }

    proptest! {
        /// Whatever happens, somebody is left, and who is out is back in time.
        #[test]
        fn somebody_is_left(
            members in 1..12_usize,
            most in 0..=100_u32,
            looks in proptest::collection::vec(proptest::collection::vec((0..4_u32, 0..9_u32), 12), 1..60),
        ) {
            let mut world = World::of(members, options().max_ejected(Percent::nearest(most)));
            for ends in looks {
                for (nth, (good, bad)) in ends.into_iter().enumerate().take(members) {
                    world.ends(nth, good, 0);
                    world.ends(nth, 0, bad);
                }
                world.look();
                let out = world.records.iter().filter(|record| record.is_out()).count();
                let may = (members * most as usize / 100).max(1);
                prop_assert!(out < members && out <= may);
                let latest = world.now + Duration::from_secs(300);
                prop_assert!(world.records.iter().all(|one| one.out_until.is_none_or(|until| until <= latest)));
            }
        }
    }
}
