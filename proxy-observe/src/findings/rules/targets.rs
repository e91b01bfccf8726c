//! Targets that are not used: left alone since dials fail, down by their checks, ejected, or by their own word.

use crate::finding::{Finding, Severity};
use crate::findings::facts::{TargetFacts, Trouble};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::subject::Subject;

pub(crate) const LEFT_ALONE: &str = "left_alone";
pub(crate) const DOWN: &str = "down";
pub(crate) const DECLINES: &str = "declines";

/// A target's breaker is not closed: dials to it failed in a row, and others are dialled instead, if there are any.
pub(crate) fn left_alone(scene: &Scene<'_>) -> Vec<Finding> {
    of(scene, LEFT_ALONE, |trouble| trouble == Trouble::LeftAlone)
}

/// A target's check fails, or its connections end badly more often than those of the others.
pub(crate) fn down(scene: &Scene<'_>) -> Vec<Finding> {
    of(scene, DOWN, |trouble| matches!(trouble, Trouble::Down | Trouble::Ejected))
}

/// A target says itself that it is full, or drains.
pub(crate) fn declines(scene: &Scene<'_>) -> Vec<Finding> {
    of(scene, DECLINES, |trouble| trouble == Trouble::Declines)
}

fn of(scene: &Scene<'_>, rule: &'static str, which: impl Fn(Trouble) -> bool) -> Vec<Finding> {
    let targets = scene.facts.targets.iter().filter(|target| which(target.trouble));
    targets.map(|target| finding(rule, target)).collect()
}

fn finding(rule: &'static str, target: &TargetFacts) -> Finding {
    let TargetFacts { subject, trouble, why, others } = target;
    let is = match trouble {
        Trouble::LeftAlone => "it is left alone",
        Trouble::Down => "it is down",
        Trouble::Ejected => "it is ejected",
        Trouble::Declines => "it takes no new connections",
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let others_take = match others {
        0 => "no other target may be used".to_owned(),
        1 => "1 other takes its connections".to_owned(),
        others => format!("{others} others take its connections"),
    };
    Finding {
        rule,
        subject: subject.clone(),
        severity: severity(*trouble, *others),
        sentence: format!("{is}{why}; {others_take}"),
        figures: vec![("others", *others as f64)],
        shows: shows(subject),
        mends: mends(*trouble).to_owned(),
    }
}

fn severity(trouble: Trouble, others: usize) -> Severity {
    match (trouble, others) {
        (_, 0) => Severity::Critical,
        (Trouble::Declines, _) => Severity::Info,
        (Trouble::LeftAlone | Trouble::Down | Trouble::Ejected, _) => Severity::Warning,
    }
}

fn shows(subject: &Subject) -> String {
    let of = if let Subject::Target { of, .. } = subject { of.strip_prefix('@') } else { None };
    of.map_or_else(
        || "smartproxy routes".to_owned(),
        |group| format!("smartproxy groups {}", told::quoted(group)),
    )
}

fn mends(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::LeftAlone => {
            "nothing has to be done here once it answers: it is tried about once a second; see whether it runs"
        }
        Trouble::Down => "nothing has to be done here once its check passes; see whether it serves",
        Trouble::Ejected => {
            "nothing has to be done here: it comes back after a while; its own log says why it resets or is silent"
        }
        Trouble::Declines => "nothing has to be done here: it says when it takes connections again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use crate::findings::planted;

    fn found(rule: &str, trouble: Trouble, others: usize) -> Vec<Finding> {
        let (subject, why) = (planted::target("@inner", "10.0.0.1:80"), "5 dials failed in a row".to_owned());
        let targets = vec![TargetFacts { subject, trouble, why, others }];
        planted::judge(rule, &planted::picture(1), &Facts { targets, ..Facts::default() })
    }

    #[test]
    fn each_trouble_is_found_by_its_rule_and_no_other() {
        for (trouble, rule) in [
            (Trouble::LeftAlone, LEFT_ALONE),
            (Trouble::Down, DOWN),
            (Trouble::Ejected, DOWN),
            (Trouble::Declines, DECLINES),
        ] {
            for other in [LEFT_ALONE, DOWN, DECLINES] {
                assert_eq!(
                    found(other, trouble, 1).len(),
                    usize::from(other == rule),
                    "{trouble:?} by {other}"
                );
            }
        }
    }

    #[test]
    fn clients_are_harmed_where_there_is_no_other() {
        let severity = |trouble, others| found(LEFT_ALONE, trouble, others)[0].severity;
        assert_eq!(severity(Trouble::LeftAlone, 0), Severity::Critical);
        assert_eq!(severity(Trouble::LeftAlone, 1), Severity::Warning);
        assert_eq!(found(DECLINES, Trouble::Declines, 2)[0].severity, Severity::Info);
        assert_eq!(
            found(LEFT_ALONE, Trouble::LeftAlone, 2)[0].sentence,
            "it is left alone: 5 dials failed in a row; 2 others take its connections"
        );
        assert_eq!(found(LEFT_ALONE, Trouble::LeftAlone, 0)[0].shows, "smartproxy groups inner");
    }
}
