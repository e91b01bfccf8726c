//! What a rule is shown.

use std::time::Duration;

use crate::past::{Figure, Past};
use crate::picture::{Picture, Reading};
use crate::subject::Subject;

use super::facts::Facts;
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

    /// The targets of the picture.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&Subject, &Reading)> {
        self.of(|subject| matches!(subject, Subject::Target { .. }))
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

    /// What was counted of it within the last minute.
    pub(crate) fn minute(&self, subject: &Subject) -> Counted {
        self.lately.of(subject)
    }

    /// Its change over so long, as far as that is known.
    pub(crate) fn change(&self, subject: &Subject, figure: Figure, over: Duration) -> Option<f64> {
        self.past.change(subject, figure, over)
    }
}
