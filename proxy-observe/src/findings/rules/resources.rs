//! What there is only so much of: places, descriptors, memory, and pools that are pressed.

use crate::finding::{Finding, Severity};
use crate::findings::facts::{PoolFacts, Share};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::subject::Subject;

pub(crate) const PRESSED: &str = "pressed";
pub(crate) const PLACES: &str = "places";
pub(crate) const DESCRIPTORS: &str = "descriptors";
pub(crate) const MEMORY: &str = "memory";

/// In percent of what there is.
const NEARLY: (f64, f64) = (90.0, 85.0);
/// Of descriptors and memory somewhat is taken by others than connections: earlier.
const SCARCE: (f64, f64) = (80.0, 75.0);
/// From here on the next crowd is refused.
const OUT: f64 = 95.0;
/// A limit of fewer is one that is meant to be met.
const SMALL: u64 = 10;

/// A pool sheds, or is tight.
pub(crate) fn pressed(scene: &Scene<'_>) -> Vec<Finding> {
    let pools = scene.facts.pools.iter().map(|PoolFacts { subject, sheds, signal }| {
        let (severity, what) = if *sheds {
            (Severity::Critical, "it sheds: new connections are refused")
        } else {
            (Severity::Warning, "it is tight: deadlines are shorter, idle connections are ended")
        };
        Finding {
            severity,
            sentence: format!("{what} ({signal})"),
            shows: format!("smartproxy conns --sort idle{}", told::filter(subject)),
            mends: "the signal says what is short (docs/operations.md, Overload): find out who holds it, or raise the limit".to_owned(),
            ..finding(PRESSED, subject.clone(), &[("sheds", f64::from(u8::from(*sheds)))])
        }
    });
    pools.collect()
}

/// Nine tenths of a limit's places are taken.
pub(crate) fn places(scene: &Scene<'_>) -> Vec<Finding> {
    let limits = scene.facts.limits.iter().filter_map(|limit| {
        let subject = Subject::Limit(limit.name.as_str().into());
        let share = of_enough(scene, (PLACES, &subject), limit.share, NEARLY)?;
        let full = limit.share.used >= limit.share.most;
        Some(Finding {
            severity: if full { Severity::Critical } else { Severity::Warning },
            sentence: format!(
                "{} of {} places are taken, {}",
                limit.share.used,
                limit.share.most,
                told::percent(share)
            ),
            shows: "smartproxy limits".to_owned(),
            mends: format!(
                "find out who holds them (smartproxy conns --sort age), or raise {} and reload",
                limit.key
            ),
            ..of_share(PLACES, subject, limit.share)
        })
    });
    limits.collect()
}

/// Four fifths of the descriptors are in use.
pub(crate) fn descriptors(scene: &Scene<'_>) -> Vec<Finding> {
    let share = scene.facts.descriptors;
    let found = of_enough(scene, (DESCRIPTORS, &Subject::Process), share, SCARCE).map(|percent| Finding {
        severity: if percent >= OUT { Severity::Critical } else { Severity::Warning },
        sentence: format!("{} of {} descriptors are in use, {}", share.used, share.most, told::percent(percent)),
        shows: "smartproxy status".to_owned(),
        mends: "find out who holds connections (smartproxy conns --sort age); raise LimitNOFILE= in the unit, and restart".to_owned(),
        ..of_share(DESCRIPTORS, Subject::Process, share)
    });
    found.into_iter().collect()
}

/// Four fifths of `max_memory` are allocated.
pub(crate) fn memory(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(share) = scene.facts.memory else { return Vec::new() };
    let found = of_enough(scene, (MEMORY, &Subject::Process), share, SCARCE).map(|percent| Finding {
        severity: if percent >= OUT { Severity::Critical } else { Severity::Warning },
        sentence: format!(
            "{} of {} MiB of max_memory are allocated, {}",
            share.used >> 20,
            share.most >> 20,
            told::percent(percent)
        ),
        shows: "smartproxy status".to_owned(),
        mends: "find out whose readers are slow (smartproxy conns --sort bytes), or raise limits.max_memory and reload".to_owned(),
        ..of_share(MEMORY, Subject::Process, share)
    });
    found.into_iter().collect()
}

/// The share in percent, if it is enough of enough.
fn of_enough(
    scene: &Scene<'_>,
    (rule, subject): (&'static str, &Subject),
    share: Share,
    (begin, hold): (f64, f64),
) -> Option<f64> {
    let enough = share.most >= SMALL && share.percent() >= scene.bound(rule, subject, begin, hold);
    enough.then(|| share.percent())
}

fn of_share(rule: &'static str, subject: Subject, share: Share) -> Finding {
    finding(
        rule,
        subject,
        &[("used", share.used as f64), ("most", share.most as f64), ("percent", share.percent())],
    )
}

fn finding(rule: &'static str, subject: Subject, figures: &[(&'static str, f64)]) -> Finding {
    Finding {
        rule,
        subject,
        severity: Severity::Warning,
        sentence: String::new(),
        figures: figures.to_vec(),
        shows: String::new(),
        mends: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted::{self, NoPast, Shown};
    use crate::{Facts, LimitFacts};

    fn limit(used: u64, most: u64) -> Facts {
        let share = Share { used, most };
        let limit =
            LimitFacts { name: "route a".to_owned(), key: "max_connections of the route", share, waiting: 0 };
        Facts { limits: vec![limit], ..Facts::default() }
    }

    fn severities(rule: &'static str, facts: &Facts, lasts: Option<Subject>) -> Vec<Severity> {
        let lasts = lasts.map(|subject| (rule, subject)).into_iter().collect();
        let found = Shown { lasts, ..Shown::default() }.judge(rule, &planted::picture(1), facts, &NoPast);
        found.iter().map(|one| one.severity).collect()
    }

    #[test]
    fn nine_tenths_of_the_places_are_nearly_all() {
        let found = |used, most| severities(PLACES, &limit(used, most), None);
        assert_eq!((found(899, 1000), found(900, 1000)), (vec![], vec![Severity::Warning]));
        assert_eq!(
            (found(999, 1000), found(1000, 1000)),
            (vec![Severity::Warning], vec![Severity::Critical])
        );
        assert_eq!((found(9, 9), found(10, 10)), (vec![], vec![Severity::Critical]));
        assert_eq!(found(5, 0), [], "no bound");
        let lasting =
            |used| severities(PLACES, &limit(used, 1000), Some(Subject::Limit("route a".into()))).len();
        assert_eq!((lasting(849), lasting(850)), (0, 1));
    }

    #[test]
    fn four_fifths_of_descriptors_and_memory_are_scarce() {
        let descriptors = |used| Facts { descriptors: Share { used, most: 1000 }, ..Facts::default() };
        let memory = |used| Facts { memory: Some(Share { used, most: 1000 }), ..Facts::default() };
        type Of<'f> = (&'static str, &'f dyn Fn(u64) -> Facts);
        let both: [Of<'_>; 2] = [(DESCRIPTORS, &descriptors), (MEMORY, &memory)];
        for (rule, of) in both {
            let found = |used, lasts: bool| severities(rule, &of(used), lasts.then_some(Subject::Process));
            assert_eq!((found(799, false), found(800, false)), (vec![], vec![Severity::Warning]));
            assert_eq!(
                (found(949, false), found(950, false)),
                (vec![Severity::Warning], vec![Severity::Critical])
            );
            assert_eq!((found(749, true).len(), found(750, true).len()), (0, 1));
        }
        assert_eq!(severities(MEMORY, &Facts::default(), None), []);
    }

    #[test]
    fn a_pool_that_is_pressed_says_what_presses_it() {
        let pool = |sheds| {
            let pool = PoolFacts { subject: Subject::Pool("p".into()), sheds, signal: "dials" };
            planted::judge(PRESSED, &planted::picture(1), &Facts { pools: vec![pool], ..Facts::default() })
        };
        assert_eq!(planted::judge(PRESSED, &planted::picture(1), &Facts::default()), []);
        assert_eq!(pool(false)[0].severity, Severity::Warning);
        assert_eq!(pool(true)[0].severity, Severity::Critical);
        assert_eq!(pool(true)[0].sentence, "it sheds: new connections are refused (dials)");
    }
}
