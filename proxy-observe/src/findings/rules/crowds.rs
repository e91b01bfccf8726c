//! Crowds where nobody should be for long: in dial, in a queue, half-closed, in header and peek.

use std::time::Duration;

use proxy_conn::Ages;

use crate::finding::{Finding, Severity};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::picture::Reading;
use crate::subject::Subject;

pub(crate) const DIALLING: &str = "dialling";
pub(crate) const QUEUEING: &str = "queueing";
pub(crate) const HALF_CLOSED: &str = "half_closed";
pub(crate) const GREETING: &str = "greeting";

/// A crowd, and what is still one.
const CROWD: (f64, f64) = (10.0, 5.0);
/// A dial that takes longer has lost two SYNs, or nobody answers them.
const DIAL: Duration = Duration::from_secs(3);
/// A side that lingers so long in silence after the other's end waits for nobody any more.
const END: Duration = Duration::from_secs(10);
/// A header or hello comes at once, or its sender has none.
const HELLO: Duration = Duration::from_secs(5);
/// In percent of those that are open: a few that linger among many are chance.
const SHARE: (f64, f64) = (25.0, 15.0);
/// Of these ten are nothing: clients that hang about are everywhere.
const LINGERING: (f64, f64) = (20.0, 10.0);

/// Ten connections or more wait for three seconds or longer for a target to accept; a route's, where none of them has come to a target.
pub(crate) fn dialling(scene: &Scene<'_>) -> Vec<Finding> {
    let judge = |(subject, reading): (&Subject, &Reading)| {
        let crowd = crowd(scene, DIALLING, (subject, &reading.living.dialling), DIAL, CROWD)?;
        let drain = told::drain(subject).unwrap_or_default();
        Some(Finding {
            severity: Severity::Critical,
            sentence: format!(
                "it does not accept: {} have waited for {} or longer to be connected",
                told::connections(crowd),
                told::seconds(DIAL)
            ),
            shows: format!("smartproxy conns --phase dial --sort in-phase{}", told::filter(subject)),
            mends: format!(
                "see whether it runs, its backlog is full, or a firewall drops between; {drain} takes it out"
            ),
            ..of(DIALLING, subject, crowd)
        })
    };
    let targets: Vec<_> = scene.targets().filter_map(judge).collect();
    if targets.is_empty() { scene.routes().filter_map(judge).collect() } else { targets }
}

/// Ten connections or more wait for a place.
pub(crate) fn queueing(scene: &Scene<'_>) -> Vec<Finding> {
    let limits = scene.facts.limits.iter().filter_map(|limit| {
        let subject = Subject::Limit(limit.name.as_str().into());
        if (limit.waiting as f64) < scene.bound(QUEUEING, &subject, CROWD.0, CROWD.1) {
            return None;
        }
        Some(Finding {
            severity: Severity::Warning,
            sentence: format!(
                "{} wait for a place: {} of {} are taken",
                told::connections(limit.waiting),
                limit.share.used,
                limit.share.most
            ),
            shows: "smartproxy limits".to_owned(),
            mends: format!("raise {}, or find out who holds them: smartproxy conns --sort age", limit.key),
            ..of(QUEUEING, &subject, limit.waiting)
        })
    });
    limits.collect()
}

/// Twenty connections of a route, and a quarter of it, have one side that ended and one that has said nothing for ten seconds.
pub(crate) fn half_closed(scene: &Scene<'_>) -> Vec<Finding> {
    let crowds = scene.routes().filter_map(|(subject, reading)| {
        let crowd = lingering(scene, HALF_CLOSED, (subject, reading), &reading.living.half_closed, END)?;
        Some(Finding {
            severity: Severity::Warning,
            sentence: format!(
                "of {} one side has ended and the other has said nothing for {} or longer",
                told::connections(crowd),
                told::seconds(END)
            ),
            shows: format!("smartproxy conns --phase drain --sort idle{}", told::filter(subject)),
            mends: "see which side does not close (smartproxy show ID); half_closed_timeout ends them"
                .to_owned(),
            ..of(HALF_CLOSED, subject, crowd)
        })
    });
    crowds.collect()
}

/// Twenty connections of a listener, and a quarter of it, have sent no whole PROXY header or ClientHello for five seconds.
pub(crate) fn greeting(scene: &Scene<'_>) -> Vec<Finding> {
    let listeners = scene.of(|subject| matches!(subject, Subject::Listener(_)));
    let crowds = listeners.filter_map(|(subject, reading)| {
        let crowd = lingering(scene, GREETING, (subject, reading), &reading.living.greeting, HELLO)?;
        Some(Finding {
            severity: Severity::Warning,
            sentence: format!(
                "{} have sent no whole PROXY header or ClientHello for {} or longer",
                told::connections(crowd),
                told::seconds(HELLO)
            ),
            shows: format!("smartproxy conns --sort age{}", told::filter(subject)),
            mends: "compare send_proxy of the hop before with accept_proxy here (smartproxy check OUTER INNER); a service whose \
                    server speaks first needs a port of its own"
                .to_owned(),
            ..of(GREETING, subject, crowd)
        })
    });
    crowds.collect()
}

/// How many have waited for so long, if they are a crowd.
fn crowd(
    scene: &Scene<'_>,
    rule: &'static str,
    (subject, ages): (&Subject, &Ages),
    patience: Duration,
    (begin, hold): (f64, f64),
) -> Option<u64> {
    let crowd = ages.at_least(patience);
    (crowd as f64 >= scene.bound(rule, subject, begin, hold)).then_some(crowd)
}

/// The same where they have to be a share of those that are open as well.
fn lingering(
    scene: &Scene<'_>,
    rule: &'static str,
    (subject, reading): (&Subject, &Reading),
    ages: &Ages,
    patience: Duration,
) -> Option<u64> {
    let crowd = crowd(scene, rule, (subject, ages), patience, LINGERING)?;
    let share = crowd as f64 * 100.0 / reading.open.max(crowd) as f64;
    (share >= scene.bound(rule, subject, SHARE.0, SHARE.1)).then_some(crowd)
}

/// What all of them have.
fn of(rule: &'static str, subject: &Subject, waiting: u64) -> Finding {
    Finding {
        rule,
        subject: subject.clone(),
        severity: Severity::Warning,
        sentence: String::new(),
        figures: vec![("waiting", waiting as f64)],
        shows: String::new(),
        mends: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted::{self, NoPast, Shown};
    use crate::{Facts, LimitFacts, Share};

    /// What a rule says of a crowd of `subject`, of which `open` are open.
    fn found(
        rule: &'static str,
        subject: &Subject,
        (count, secs, open): (u64, u64, u64),
        lasts: bool,
    ) -> usize {
        let mut picture = planted::picture(1);
        let reading = planted::reading(&mut picture, subject.clone());
        reading.open = open;
        let living = &mut reading.living;
        for ages in [&mut living.dialling, &mut living.half_closed, &mut living.greeting] {
            *ages = planted::ages(count, secs);
        }
        let lasts = if lasts { vec![(rule, subject.clone())] } else { Vec::new() };
        Shown { lasts, ..Shown::default() }.judge(rule, &picture, &Facts::default(), &NoPast).len()
    }

    #[test]
    fn ten_that_dial_for_three_seconds_are_a_crowd() {
        let target = planted::target("a", "t");
        let found = |count, secs, lasts| found(DIALLING, &target, (count, secs, 100_000), lasts);
        assert_eq!((found(9, 30, false), found(10, 2, false), found(10, 3, false)), (0, 0, 1));
        assert_eq!((found(4, 3, true), found(5, 3, true)), (0, 1));
    }

    #[test]
    fn twenty_half_closed_ones_are_a_crowd_where_they_are_a_quarter() {
        let route = planted::subject("a");
        let found = |count, secs, open| found(HALF_CLOSED, &route, (count, secs, open), false);
        assert_eq!((found(19, 10, 19), found(20, 8, 20), found(20, 10, 81)), (0, 0, 0));
        assert_eq!((found(20, 10, 20), found(20, 10, 80)), (1, 1));
    }

    #[test]
    fn twenty_without_a_greeting_are_a_crowd_where_they_are_a_quarter() {
        let listener = Subject::Listener("*:443".into());
        let found = |count, secs, open, lasts| found(GREETING, &listener, (count, secs, open), lasts);
        assert_eq!((found(19, 5, 19, false), found(20, 4, 20, false), found(20, 5, 81, false)), (0, 0, 0));
        assert_eq!((found(20, 5, 80, false), found(12, 5, 80, true), found(11, 5, 80, true)), (1, 1, 0));
    }

    #[test]
    fn ten_that_queue_are_a_crowd() {
        let found = |waiting| {
            let share = Share { used: 50, most: 50 };
            let limit = LimitFacts {
                name: "route a".to_owned(),
                key: "max_connections of the route",
                share,
                waiting,
            };
            planted::judge(QUEUEING, &planted::picture(1), &Facts { limits: vec![limit], ..Facts::default() })
        };
        assert_eq!(found(9), []);
        let all = found(10);
        assert_eq!(all[0].sentence, "10 connections wait for a place: 50 of 50 are taken");
        assert_eq!(all[0].subject, Subject::Limit("route a".into()));
    }
}
