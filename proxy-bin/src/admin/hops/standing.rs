//! What is known of one hop: its last words, since when it is silent, what it was a minute ago. Pure: it is told the time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use proxy_api::model::{Hop, HopMinute};

/// So many questions in a row without an answer make a hop silent: one may have been lost in a restart.
const SILENT_AFTER: u32 = 2;

/// How far back it is remembered what a hop had counted.
const MINUTE: Duration = Duration::from_secs(60);

/// A hop that has been asked for less than this has no last minute yet.
const LEAST: Duration = Duration::from_secs(55);

/// What is known of one hop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// What it said last, and when, in seconds since 1970.
    pub(crate) said: Option<Said>,
    failing: Option<Failing>,
    /// What it had counted, the oldest first: a minute of it.
    counted: VecDeque<Counted>,
}

/// A hop's last words.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) hop: Hop,
    pub(crate) at: f64,
    /// How far its clock is ahead, and how far off that may be; None for this hop itself.
    pub(crate) clock: Option<(f64, f64)>,
}

#[derive(Debug, Clone)]
struct Failing {
    since: f64,
    why: String,
    times: u32,
}

#[derive(Debug, Clone)]
struct Counted {
    at: Instant,
    pid: u32,
    opened: u64,
    ended: u64,
    refused: BTreeMap<String, u64>,
}

impl Standing {
    /// It has answered.
    pub(crate) fn answered(&mut self, said: Said, now: Instant) {
        let hop = &said.hop;
        // Another process counts from 0.
        if self.counted.back().is_some_and(|last| last.pid != hop.pid) {
            self.counted.clear();
        }
        self.counted.push_back(Counted {
            at: now,
            pid: hop.pid,
            opened: hop.opened_total,
            ended: hop.ended_total,
            refused: hop.refused_total.clone(),
        });
        while self.counted.front().is_some_and(|first| now.duration_since(first.at) > MINUTE) {
            self.counted.pop_front();
        }
        self.said = Some(said);
        self.failing = None;
    }

    /// It has not answered, or not as a hop does; `at` is in seconds since 1970.
    pub(crate) fn failed(&mut self, why: String, at: f64) {
        let said = self.said.as_ref().map(|said| said.at);
        let failing = self.failing.get_or_insert_with(|| Failing {
            since: said.unwrap_or(at),
            why: String::new(),
            times: 0,
        });
        failing.why = why;
        failing.times = failing.times.saturating_add(1);
        // Across a gap nothing is known of a minute.
        self.counted.clear();
    }

    /// Since when it is silent, in seconds since 1970; None if it answers, or was not asked often enough to tell.
    pub(crate) fn silent_since(&self) -> Option<f64> {
        self.failing.as_ref().filter(|failing| failing.times >= SILENT_AFTER).map(|failing| failing.since)
    }

    /// Since when, and why, it has not answered the last question, in seconds since 1970.
    pub(crate) fn unanswered(&self) -> Option<(f64, &str)> {
        self.failing.as_ref().map(|failing| (failing.since, &*failing.why))
    }

    /// Its last minute, if it is known for so long.
    pub(crate) fn minute(&self) -> Option<HopMinute> {
        let (first, last) = (self.counted.front()?, self.counted.back()?);
        if last.at.duration_since(first.at) < LEAST {
            return None;
        }
        Some(HopMinute {
            opened: last.opened.saturating_sub(first.opened),
            ended: last.ended.saturating_sub(first.ended),
            refused: self.refused(),
        })
    }

    /// How many connections its limits have refused within a minute, or since it is known, by cause.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let Some((first, last)) = self.counted.front().zip(self.counted.back()) else {
            return BTreeMap::new();
        };
        let more = |(cause, count): (&String, &u64)| {
            let before = first.refused.get(cause).copied().unwrap_or_default();
            Some((cause.clone(), count.checked_sub(before)?)).filter(|(_, count)| *count > 0)
        };
        last.refused.iter().filter_map(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(pid: u32, opened: u64, refused: &[(&str, u64)]) -> Hop {
        Hop {
            name: "inner".to_owned(),
            version: String::new(),
            pid,
            at: 0.0,
            uptime_s: 0.0,
            state: "running".to_owned(),
            ready: true,
            generation: 1,
            connections: 0,
            max_connections: 0,
            opened_total: opened,
            ended_total: opened,
            refused_total: refused.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect(),
            deadlines: None,
            findings: Vec::new(),
        }
    }

    fn said(hop: Hop, at: f64) -> Said {
        Said { hop, at, clock: None }
    }

    #[test]
    fn one_question_without_an_answer_is_no_silence_and_two_are_since_the_last_word() {
        let (mut one, now) = (Standing::default(), Instant::now());
        one.answered(said(hop(1, 0, &[]), 100.0), now);
        one.failed("late".to_owned(), 104.0);
        assert_eq!((one.silent_since(), one.unanswered()), (None, Some((100.0, "late"))));
        one.failed("refused".to_owned(), 106.0);
        assert_eq!((one.silent_since(), one.unanswered()), (Some(100.0), Some((100.0, "refused"))));
        one.answered(said(hop(1, 0, &[]), 108.0), now);
        assert_eq!((one.silent_since(), one.unanswered()), (None, None));
    }

    #[test]
    fn a_hop_that_never_answered_is_silent_since_it_was_asked_first() {
        let mut one = Standing::default();
        one.failed("no such socket".to_owned(), 50.0);
        one.failed("no such socket".to_owned(), 52.0);
        assert_eq!(one.silent_since(), Some(50.0));
    }

    #[test]
    fn the_last_minute_is_what_was_counted_since_and_of_one_process() {
        let (mut one, begun) = (Standing::default(), Instant::now());
        let after = |s| begun + Duration::from_secs(s);
        one.answered(said(hop(1, 10, &[("limit", 2)]), 0.0), begun);
        one.answered(said(hop(1, 15, &[("limit", 2)]), 0.0), after(54));
        assert_eq!(one.minute(), None, "it is known for less than a minute");
        one.answered(said(hop(1, 30, &[("limit", 7), ("other", 1)]), 0.0), after(60));
        let refused = BTreeMap::from([("limit".to_owned(), 5), ("other".to_owned(), 1)]);
        assert_eq!(one.minute(), Some(HopMinute { opened: 20, ended: 20, refused }));
        one.answered(said(hop(1, 31, &[("limit", 7), ("other", 1)]), 0.0), after(62));
        assert_eq!(one.minute(), None, "what is older is forgotten");
        one.answered(said(hop(2, 1, &[]), 0.0), after(64));
        assert_eq!(one.counted.len(), 1, "another process counts anew");
    }
}
