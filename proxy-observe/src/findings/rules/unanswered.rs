//! Targets that do not answer: none at all (the next hop is frozen, the backend a black hole), or not those that wait.

use std::time::Duration;

use proxy_conn::Cause;

use crate::finding::{Finding, Severity};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::picture::Reading;
use crate::subject::Subject;

pub(crate) const SILENT: &str = "silent";
pub(crate) const STUCK: &str = "stuck";

/// Clients that wait, below which it is their business rather than the target's.
const FEWEST: (f64, f64) = (5.0, 2.0);
/// Whoever waits ten times as long as is usual waits too long; below three seconds nobody does: a look is taken every two.
const TIMES: u32 = 10;
const SHORTEST: Duration = Duration::from_secs(3);
/// The same for a target of which nothing is known to be usual: it has never answered anybody.
const UNKNOWN: Duration = Duration::from_secs(6);
const FEWEST_OF_UNKNOWN: (f64, f64) = (10.0, 5.0);

/// From so many on, for at least so long.
const STUCK_FEWEST: (f64, f64) = (10.0, 5.0);
const STUCK_FOR: Duration = Duration::from_secs(10);
const STUCK_FOR_UNKNOWN: Duration = Duration::from_secs(20);

/// So many connections that were in order although the target never said a word: its protocol is one in which it says nothing.
const ONE_WAY: u64 = 10;

/// Clients have spoken and wait far longer than is usual, and the target says nothing to anybody meanwhile.
pub(crate) fn silent(scene: &Scene<'_>) -> Vec<Finding> {
    scene.targets().filter_map(|(subject, reading)| judge_silent(scene, subject, reading)).collect()
}

/// Ten clients or more have spoken, have had no byte for at least ten seconds (twenty where nothing is known to be usual), and wait far
/// longer than is usual; others may be answered.
pub(crate) fn stuck(scene: &Scene<'_>) -> Vec<Finding> {
    scene.targets().filter_map(|(subject, reading)| judge_stuck(scene, subject, reading)).collect()
}

fn judge_silent(scene: &Scene<'_>, subject: &Subject, reading: &Reading) -> Option<Finding> {
    if is_one_way(reading) {
        return None;
    }
    let usual = scene.usual.first_byte(subject);
    let silent = scene.usual.silent(subject);
    let is_known = usual.is_some() || silent.is_some();
    let patience = if is_known { patience(usual, SHORTEST) } else { UNKNOWN };
    let (begin, hold) = if is_known { FEWEST } else { FEWEST_OF_UNKNOWN };
    let waiting = reading.living.answering.at_least(patience);
    if (waiting as f64) < scene.bound(SILENT, subject, begin, hold)
        || silent.is_some_and(|silent| silent < SHORTEST)
    {
        return None;
    }
    let sentence = match silent {
        Some(silent) => format!(
            "it has stopped answering: not a byte for {}, while {} wait for its first",
            told::seconds(silent),
            told::connections(waiting)
        ),
        None => format!(
            "it accepts and has answered nobody yet: {} wait for its first byte",
            told::connections(waiting)
        ),
    };
    let mut figures = vec![("waiting", waiting as f64), ("patience_s", patience.as_secs_f64())];
    figures.extend(silent.map(|silent| ("silent_s", silent.as_secs_f64())));
    figures.extend(usual.map(|usual| ("usual_first_byte_s", usual.as_secs_f64())));
    Some(Finding {
        rule: SILENT,
        subject: subject.clone(),
        severity: Severity::Critical,
        sentence,
        figures,
        shows: shows(subject),
        mends: mends(subject),
    })
}

fn judge_stuck(scene: &Scene<'_>, subject: &Subject, reading: &Reading) -> Option<Finding> {
    // What is silent altogether has been told of as that.
    if is_one_way(reading) || judge_silent(scene, subject, reading).is_some() {
        return None;
    }
    let usual = scene.usual.first_byte(subject);
    let patience = patience(usual, if usual.is_some() { STUCK_FOR } else { STUCK_FOR_UNKNOWN });
    let waiting = reading.living.answering.at_least(patience);
    if (waiting as f64) < scene.bound(STUCK, subject, STUCK_FEWEST.0, STUCK_FEWEST.1) {
        return None;
    }
    let usually = usual.map(|usual| format!(", which usually comes within {}", told::seconds(usual)));
    let mut figures = vec![("stuck", waiting as f64), ("patience_s", patience.as_secs_f64())];
    figures.extend(usual.map(|usual| ("usual_first_byte_s", usual.as_secs_f64())));
    Some(Finding {
        rule: STUCK,
        subject: subject.clone(),
        severity: Severity::Warning,
        sentence: format!(
            "{} have spoken and wait for its first byte for {} or longer{}",
            told::connections(waiting),
            told::seconds(patience),
            usually.unwrap_or_default()
        ),
        figures,
        shows: shows(subject),
        mends: format!(
            "look at what it waits for itself; smartproxy kill --phase relay --min-idle 20s{} --dry-run ends those that wait",
            told::filter(subject)
        ),
    })
}

/// How long is too long, and no shorter than `least`.
fn patience(usual: Option<Duration>, least: Duration) -> Duration {
    usual.map_or(least, |usual| least.max(usual * TIMES))
}

/// Whether it says nothing where all is well, as whatever collects logs.
fn is_one_way(reading: &Reading) -> bool {
    reading.totals.from_backend == 0 && reading.totals.ended_of(Cause::Finished) >= ONE_WAY
}

fn shows(subject: &Subject) -> String {
    format!("smartproxy conns --phase relay --sort idle{}", told::filter(subject))
}

fn mends(subject: &Subject) -> String {
    format!(
        "see whether it runs or is stopped, or a firewall drops between (smartproxy status on it, if it is a hop); {} takes it out",
        told::drain(subject).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted::{self, NoPast, Shown};
    use crate::{Facts, Picture};

    /// A target that has said so much, of which `count` have waited so long.
    fn at(secs: u64, says: u64, usual_millis: Option<u64>, (count, waited): (u64, u64)) -> Picture {
        let mut picture = planted::picture(secs);
        let reading = planted::reading(&mut picture, planted::target("a", "t"));
        reading.totals.from_backend = says;
        reading.first_byte_p99 = usual_millis.map(Duration::from_millis);
        reading.living.answering = planted::ages(count, waited);
        picture
    }

    /// What a rule says where so many have waited so long, of a target that said something `silent` seconds ago.
    fn found(
        rule: &'static str,
        silent: u64,
        usual: Option<u64>,
        waiting: (u64, u64),
        lasts: bool,
    ) -> Vec<Finding> {
        let lasts = if lasts { vec![(rule, planted::target("a", "t"))] } else { Vec::new() };
        let before = at(100, 10, usual, (0, 0));
        let shown = Shown { lasts, ..Shown::default() }.before(&before, &Facts::default());
        shown.judge(rule, &at(100 + silent, 10, None, waiting), &Facts::default(), &NoPast)
    }

    #[test]
    fn a_target_that_stops_answering_is_found_after_three_seconds() {
        assert_eq!(found(SILENT, 3, Some(10), (5, 2), false), [], "nobody has waited for three");
        assert_eq!(found(SILENT, 2, Some(10), (5, 3), false), [], "it has said something to somebody");
        assert_eq!(found(SILENT, 3, Some(10), (4, 3), false), [], "four of them");
        let all = found(SILENT, 3, Some(10), (5, 3), false);
        assert_eq!(all[0].severity, Severity::Critical);
        assert_eq!(
            all[0].sentence,
            "it has stopped answering: not a byte for 3.0 s, while 5 connections wait for its first"
        );
    }

    #[test]
    fn whoever_usually_takes_long_has_ten_times_as_long() {
        assert_eq!(found(SILENT, 10, Some(990), (50, 8), false), []);
        assert_eq!(found(SILENT, 10, Some(990), (50, 10), false).len(), 1);
    }

    #[test]
    fn it_lasts_while_two_wait() {
        assert_eq!(found(SILENT, 9, Some(10), (1, 9), true), []);
        assert_eq!(found(SILENT, 9, Some(10), (2, 9), true).len(), 1);
    }

    /// What is found of a target that has never said anything, and of which so many connections have finished.
    fn never_answered(waiting: (u64, u64), finished: u64) -> Vec<Finding> {
        let mut picture = at(100, 0, None, waiting);
        picture.readings[0].1.totals = planted::totals(&[(Cause::Finished, finished)]);
        planted::judge(SILENT, &picture, &Facts::default())
    }

    #[test]
    fn one_that_never_answered_has_six_seconds() {
        assert_eq!(never_answered((9, 6), 0), []);
        assert_eq!(never_answered((10, 5), 0), []);
        assert_eq!(never_answered((10, 6), 0).len(), 1);
    }

    #[test]
    fn a_protocol_in_which_the_server_says_nothing_is_no_fault() {
        assert_eq!(never_answered((50, 300), 9).len(), 1);
        assert_eq!(never_answered((50, 300), 10), []);
    }

    #[test]
    fn ten_that_wait_for_ten_seconds_are_stuck_though_others_are_answered() {
        assert_eq!(found(STUCK, 1, Some(10), (9, 10), false), []);
        assert_eq!(found(STUCK, 1, Some(10), (10, 8), false), []);
        assert_eq!(found(STUCK, 1, None, (10, 15), false), [], "nothing is known to be usual");
        assert_eq!(found(STUCK, 1, None, (10, 20), false).len(), 1);
        let all = found(STUCK, 1, Some(10), (101, 10), false);
        assert_eq!(
            all[0].sentence,
            "101 connections have spoken and wait for its first byte for 10 s or longer, which usually comes within 9 ms"
        );
        assert_eq!(found(STUCK, 1, Some(3000), (101, 20), false), [], "thirty seconds are no wonder there");
        assert_eq!(found(STUCK, 1, Some(3000), (101, 30), false).len(), 1);
        assert_eq!(found(STUCK, 9, Some(10), (101, 20), false), [], "that it is silent is told already");
        assert_eq!(
            (found(STUCK, 1, Some(10), (4, 10), true).len(), found(STUCK, 1, Some(10), (5, 10), true).len()),
            (0, 1)
        );
    }
}
