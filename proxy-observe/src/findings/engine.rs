//! What is found, from when it begins to when it is over.
//!
//! ```text
//!            said for `after`               not said for `lasts`
//!  (nothing) ───────────────► begun, lasts ─────────────────────► over
//! ```
//! Each look, once a second, asks every rule. What a rule says is identified by its name and the subject: said again, it is the same
//! finding with newer figures.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::finding::Finding;
use crate::past::Past;
use crate::picture::Picture;
use crate::subject::Subject;

use super::facts::Facts;
use super::lately::Lately;
use super::rule::Rule;
use super::rules::RULES;
use super::scene::Scene;
use super::usual::Usual;

/// Findings of a rule that are kept at once. Where there are more, most have one reason; the next are taken in when some of these are
/// over. By rule, so that a thousand targets that are down hide nothing else.
const MOST_OF_A_RULE: usize = 50;

/// A finding that has begun and is not over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lasting {
    /// As it was last said.
    pub finding: Finding,
    /// When it was first said, after the start of the process.
    pub since: Duration,
}

/// What a look has changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is so from now on.
    Began(Lasting),
    /// It is so no more; it was, for so long.
    Ended(Lasting, Duration),
}

/// What is kept of something that a rule says.
#[derive(Debug)]
struct Said {
    finding: Finding,
    first: Duration,
    last: Duration,
    begun: bool,
}

/// What is found.
#[derive(Debug, Default)]
pub struct Findings {
    said: BTreeMap<(&'static str, Subject), Said>,
    lately: Lately,
    usual: Usual,
    looks: u64,
}

impl Findings {
    /// Takes a look, about once a second: what has begun and what is over since the last one.
    pub fn look(&mut self, picture: &Picture, facts: &Facts, past: &dyn Past) -> Vec<Change> {
        self.lately.add(picture, &facts.counters());
        self.usual.add(picture);
        let said = self.ask(picture, facts, past);
        self.looks += 1;
        let mut changes = Vec::new();
        for finding in said {
            changes.extend(self.hear(finding, picture.at));
        }
        changes.extend(self.forget(picture.at));
        changes
    }

    /// Those that last, the worst first, and of those the oldest.
    #[must_use]
    pub fn list(&self) -> Vec<Lasting> {
        let lasting = self.said.values().filter(|said| said.begun);
        let mut list: Vec<_> = lasting.map(Said::lasting).collect();
        list.sort_by_key(|lasting| (Reverse(lasting.finding.severity), lasting.since));
        list
    }

    /// What every rule says.
    fn ask(&self, picture: &Picture, facts: &Facts, past: &dyn Past) -> Vec<Finding> {
        let lasts = |rule: &'static str, subject: &Subject| {
            self.of_rule(rule).any(|(known, said)| said.begun && known == subject)
        };
        let scene = Scene { picture, facts, past, lately: &self.lately, usual: &self.usual, lasts: &lasts };
        let asked = RULES.iter().filter(|rule| self.looks.is_multiple_of(rule.every));
        asked.flat_map(|rule| (rule.judge)(&scene)).collect()
    }

    /// What is kept of a rule.
    fn of_rule(&self, rule: &'static str) -> impl Iterator<Item = (&Subject, &Said)> {
        // The process is the first of subjects.
        let of_rule =
            self.said.range((rule, Subject::Process)..).take_while(move |((name, _), _)| *name == rule);
        of_rule.map(|((_, subject), said)| (subject, said))
    }

    /// Takes in what a rule says; whether it begins.
    fn hear(&mut self, finding: Finding, now: Duration) -> Option<Change> {
        let rule = RULES.iter().find(|rule| rule.name == finding.rule)?;
        let key = (finding.rule, finding.subject.clone());
        let room = self.of_rule(rule.name).count() < MOST_OF_A_RULE;
        let said = match self.said.get_mut(&key) {
            Some(said) => {
                (said.finding, said.last) = (finding, now);
                said
            }
            None if room => {
                self.said.entry(key).or_insert(Said { finding, first: now, last: now, begun: false })
            }
            None => return None,
        };
        if said.begun || now.saturating_sub(said.first) < rule.after {
            return None;
        }
        said.begun = true;
        Some(Change::Began(said.lasting()))
    }

    /// Forgets what has not been said for long enough; what of it is over.
    fn forget(&mut self, now: Duration) -> Vec<Change> {
        let mut over = Vec::new();
        self.said.retain(|(name, _), said| {
            let silent = now.saturating_sub(said.last);
            let stays = silent.is_zero() || said.begun && silent < patience(name);
            if !stays && said.begun {
                over.push(Change::Ended(said.lasting(), said.last.saturating_sub(said.first)));
            }
            stays
        });
        over
    }
}

impl Said {
    fn lasting(&self) -> Lasting {
        Lasting { finding: self.finding.clone(), since: self.first }
    }
}

fn patience(rule: &str) -> Duration {
    RULES.iter().find(|known| known.name == rule).map_or(Duration::ZERO, |rule: &Rule| rule.lasts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::facts::LogFacts;
    use crate::findings::planted;

    /// What a look at `at` changes where so many lines of the log were lost.
    fn look(findings: &mut Findings, at: u64, facts: &Facts) -> Vec<String> {
        let told = |change: Change| match change {
            Change::Began(lasting) => {
                format!("{} began at {}", lasting.finding.rule, lasting.since.as_secs())
            }
            Change::Ended(lasting, after) => {
                format!("{} over after {}", lasting.finding.rule, after.as_secs())
            }
        };
        findings.look(&planted::picture(at), facts, &planted::NoPast).into_iter().map(told).collect()
    }

    fn failing(place: Option<&str>) -> Facts {
        Facts { log: Some(LogFacts { lost: 0, fails: place.map(str::to_owned) }), ..Facts::default() }
    }

    #[test]
    fn it_begins_once_and_is_over_once() {
        let mut findings = Findings::default();
        let (well, ill) = (failing(None), failing(Some("/var/log/x")));
        assert!(look(&mut findings, 1, &well).is_empty());
        assert_eq!(look(&mut findings, 2, &ill), ["log_failing began at 2"]);
        assert!(look(&mut findings, 3, &ill).is_empty(), "it is the same one");
        assert_eq!(findings.list()[0].since, Duration::from_secs(2));
        for at in 4..13 {
            assert!(look(&mut findings, at, &well).is_empty(), "it may come back");
        }
        assert_eq!(findings.list().len(), 1);
        assert_eq!(look(&mut findings, 13, &well), ["log_failing over after 1"]);
        assert!(findings.list().is_empty());
    }

    #[test]
    fn what_comes_back_soon_was_never_over() {
        let mut findings = Findings::default();
        let (well, ill) = (failing(None), failing(Some("/var/log/x")));
        look(&mut findings, 1, &ill);
        for at in (2..100).step_by(9) {
            assert!(look(&mut findings, at, &ill).is_empty());
            assert!(look(&mut findings, at + 8, &well).is_empty());
        }
        assert_eq!(findings.list()[0].since, Duration::from_secs(1));
    }

    #[test]
    fn what_passes_before_its_rule_believes_it_was_nothing() {
        let mut findings = Findings::default();
        let late = planted::late_worker();
        for at in 1..5 {
            assert!(look(&mut findings, at, &late).is_empty());
        }
        assert!(look(&mut findings, 5, &Facts::default()).is_empty());
        for at in 6..11 {
            assert!(look(&mut findings, at, &late).is_empty(), "it begins anew");
        }
        assert_eq!(look(&mut findings, 11, &late), ["lag began at 6"]);
    }

    #[test]
    fn the_worst_comes_first_and_of_one_kind_there_are_not_endlessly_many() {
        let mut findings = Findings::default();
        let mut facts = failing(Some("/var/log/x"));
        facts.targets = (0..1000).map(planted::down_target).collect();
        look(&mut findings, 1, &facts);
        let list = findings.list();
        assert_eq!(list.len(), MOST_OF_A_RULE + 1);
        assert!(list.is_sorted_by_key(|lasting| Reverse(lasting.finding.severity)));
        look(&mut findings, 30, &Facts::default());
        assert!(findings.list().is_empty());
    }
}
