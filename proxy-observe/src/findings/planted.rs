//! Pictures, facts and pasts as tests plant them.

use std::collections::HashMap;
use std::time::Duration;

use proxy_conn::{Ages, Cause, Totals};

use crate::finding::Finding;
use crate::past::{Figure, Past};
use crate::picture::{Picture, Reading};
use crate::subject::Subject;

use super::facts::{Facts, TargetFacts, Trouble, WorkerFacts};
use super::lately::Lately;
use super::rules::RULES;
use super::scene::Scene;
use super::usual::Usual;

/// Of which nothing is known.
pub(crate) struct NoPast;

impl Past for NoPast {
    fn change(&self, _: &Subject, _: Figure, _: Duration) -> Option<f64> {
        None
    }
}

/// A past as a table: subject, figure, over how many seconds.
#[derive(Default)]
pub(crate) struct Table(pub(crate) HashMap<(Subject, Figure, u64), f64>);

impl Past for Table {
    fn change(&self, subject: &Subject, figure: Figure, over: Duration) -> Option<f64> {
        self.0.get(&(subject.clone(), figure, over.as_secs())).copied()
    }
}

/// What was open at each second, the present last.
pub(crate) struct Curve<F>(pub(crate) u64, pub(crate) F);

impl<F: Fn(u64) -> f64> Past for Curve<F> {
    fn change(&self, _: &Subject, figure: Figure, over: Duration) -> Option<f64> {
        let then = self.0.checked_sub(over.as_secs())?;
        (figure == Figure::Open).then(|| (self.1)(self.0) - (self.1)(then))
    }
}

pub(crate) fn picture(at: u64) -> Picture {
    let at = Duration::from_secs(at);
    Picture { at, walked: at, readings: Vec::new() }
}

pub(crate) fn subject(route: &str) -> Subject {
    Subject::Route(route.into())
}

pub(crate) fn target(of: &str, target: &str) -> Subject {
    Subject::Target { of: of.into(), target: target.into() }
}

/// The figures of a route, added to the picture.
pub(crate) fn route<'p>(picture: &'p mut Picture, name: &str) -> &'p mut Reading {
    reading(picture, subject(name))
}

pub(crate) fn reading(picture: &mut Picture, subject: Subject) -> &mut Reading {
    picture.readings.push((subject, Reading::default()));
    &mut picture.readings.last_mut().unwrap().1
}

/// So many ended of each cause, and as many were opened.
pub(crate) fn totals(ended: &[(Cause, u64)]) -> Totals {
    let mut totals = Totals::default();
    for (cause, count) in ended {
        let at = Cause::ALL.iter().position(|known| known == cause).unwrap();
        totals.ended[at] += count;
        totals.opened += count;
    }
    totals
}

/// The figures of a subject of which `failed` of `ended` were failed by a backend, all of them reset.
pub(crate) fn failed(failed: u64, ended: u64) -> Totals {
    let mut totals = totals(&[(Cause::BackendReset, failed), (Cause::Finished, ended - failed)]);
    totals.failed = failed;
    totals
}

/// So many that have waited so long.
pub(crate) fn ages(count: u64, secs: u64) -> Ages {
    let mut ages = Ages::default();
    (0..count).for_each(|_| ages.add(Duration::from_secs(secs)));
    ages
}

pub(crate) fn late_worker() -> Facts {
    let late = WorkerFacts { lag: Duration::from_secs(1), ..WorkerFacts::default() };
    Facts { workers: vec![late], ..Facts::default() }
}

pub(crate) fn down_target(n: usize) -> TargetFacts {
    let (subject, why) = (target("web", &format!("10.0.0.1:{n}")), String::new());
    TargetFacts { subject, trouble: Trouble::Down, why, others: 3 }
}

/// What all rules are shown.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) lately: Lately,
    pub(crate) usual: Usual,
    /// Findings that last.
    pub(crate) lasts: Vec<(&'static str, Subject)>,
}

impl Shown {
    /// A picture and facts that came before those that are judged.
    pub(crate) fn before(mut self, picture: &Picture, facts: &Facts) -> Self {
        self.lately.add(picture, &facts.counters());
        self.usual.add(picture);
        self
    }

    /// What the rule of that name says.
    pub(crate) fn judge(
        mut self,
        rule: &str,
        picture: &Picture,
        facts: &Facts,
        past: &dyn Past,
    ) -> Vec<Finding> {
        self.lately.add(picture, &facts.counters());
        self.usual.add(picture);
        let lasts = |rule: &'static str, subject: &Subject| self.lasts.contains(&(rule, subject.clone()));
        let (lately, usual) = (&self.lately, &self.usual);
        let scene = Scene { picture, facts, past, lately, usual, lasts: &lasts };
        let found = RULES.iter().filter(|known| known.name == rule).map(|known| (known.judge)(&scene));
        let found = found.collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "there is one rule {rule}");
        found.concat()
    }
}

/// What a rule says of a picture and facts without a past.
pub(crate) fn judge(rule: &str, picture: &Picture, facts: &Facts) -> Vec<Finding> {
    Shown::default().judge(rule, picture, facts, &NoPast)
}
