//! What a rule is shown.

use std::time::Duration;

use crate::past::{Figure, Past};
use crate::picture::{Picture, Reading};
use crate::subject::Subject;

use super::facts::{Ages, Facts, Wait};
use super::lately::{Counted, Lately};
use super::usual::Usual;

/// What a rule is shown: the present, and what was before.
pub(crate) struct Scene<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) facts: &'a Facts,
    pub(crate) past: &'a dyn Past,
    pub(crate) lately: &'a Lately,
    pub(crate) usual: &'a Usual,
    /// Whether a finding of this rule and subject lasts.
    pub(crate) lasts: &'a dyn Fn(&'static str, &Subject) -> bool,
}

impl Scene<'_> {
    /// From where on it is so: `begin`, or `hold` for as long as it lasts, so that a figure about its bound does not begin and end
    /// with each look.
    pub(crate) fn bound(&self, rule: &'static str, subject: &Subject, begin: f64, hold: f64) -> f64 {
        if (self.lasts)(rule, subject) { hold } else { begin }
    }

    /// The routes of the picture.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&Subject, &Reading)> {
        self.of(|subject| matches!(subject, Subject::Route(_)))
    }

    /// The routes and targets of the picture.
    pub(crate) fn routes_and_targets(&self) -> impl Iterator<Item = (&Subject, &Reading)> {
        self.of(|subject| matches!(subject, Subject::Route(_) | Subject::Target { .. }))
    }

    /// Those of the picture that `which` has.
    pub(crate) fn of(&self, which: impl Fn(&Subject) -> bool) -> impl Iterator<Item = (&Subject, &Reading)> {
        let known = self.picture.readings.iter().filter(move |(subject, _)| which(subject));
        known.map(|(subject, reading)| (subject, reading))
    }

    /// The figures of `subject`.
    pub(crate) fn reading(&self, subject: &Subject) -> Option<&Reading> {
        self.picture.readings.iter().find(|(known, _)| known == subject).map(|(_, reading)| reading)
    }

    /// What was counted of it within the last minute.
    pub(crate) fn minute(&self, subject: &Subject) -> Counted {
        self.lately.of(subject)
    }

    /// Its change over so long, as far as that is known.
    pub(crate) fn change(&self, subject: &Subject, figure: Figure, over: Duration) -> Option<f64> {
        self.past.change(subject, figure, over)
    }

    /// Who waits for `what`.
    pub(crate) fn waits(&self, what: Wait) -> impl Iterator<Item = (&Subject, &Ages)> {
        let waits = self.facts.waits.iter().filter(move |waits| waits.what == what);
        waits.map(|waits| (&waits.subject, &waits.ages))
    }
}
