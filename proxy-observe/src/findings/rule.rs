//! What a rule is.

use std::time::Duration;

use crate::finding::Finding;

use super::scene::Scene;

/// A rule: a pure function that says what is wrong, and how patient to be with what it says.
pub(crate) struct Rule {
    /// Its name, stable.
    pub(crate) name: &'static str,
    /// For how long it has to say the same before it is a finding.
    pub(crate) after: Duration,
    /// For how long it must not have said it before it is over.
    pub(crate) lasts: Duration,
    /// It is asked at every so many looks: some rules look far back.
    pub(crate) every: u64,
    /// What is wrong. Each finding has the rule's name.
    pub(crate) judge: fn(&Scene<'_>) -> Vec<Finding>,
}

/// What passes within one look is nothing to tell of, and what is over for ten seconds is over.
pub(crate) const fn rule(name: &'static str, judge: fn(&Scene<'_>) -> Vec<Finding>) -> Rule {
    Rule { name, after: Duration::ZERO, lasts: Duration::from_secs(10), every: 1, judge }
}

impl Rule {
    pub(crate) const fn after(self, secs: u64) -> Self {
        Self { after: Duration::from_secs(secs), ..self }
    }

    pub(crate) const fn every(self, looks: u64) -> Self {
        Self { every: looks, ..self }
    }

    pub(crate) const fn lasts(self, secs: u64) -> Self {
        Self { lasts: Duration::from_secs(secs), ..self }
    }
}
