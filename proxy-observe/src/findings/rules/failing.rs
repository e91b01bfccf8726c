//! Routes and targets whose backend fails many of their connections, within the last minute and against their own hour.

use std::time::Duration;

use proxy_conn::By;

use crate::finding::{Finding, Severity};
use crate::findings::lately::Counted;
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::past::Figure;
use crate::subject::Subject;

pub(crate) const NAME: &str = "failing";

const HOUR: Duration = Duration::from_secs(3600);

/// Below so many that failed within a minute a share says nothing.
const FEWEST: u64 = 10;
/// From this share on, in percent, clients are harmed whatever was usual.
const MANY: (f64, f64) = (50.0, 40.0);
/// From this share on it is worth a word where it is not usual.
const SOME: (f64, f64) = (10.0, 7.0);
/// What is not usual: so many times the share of the hour.
const TIMES: f64 = 3.0;

/// Of the connections that ended within the last minute, the backend failed half; or a tenth, and three times as large a share as in
/// the last hour.
pub(crate) fn failing(scene: &Scene<'_>) -> Vec<Finding> {
    let judged = scene.routes_and_targets().filter_map(|(subject, _)| judge(scene, subject));
    let found: Vec<_> = judged.collect();
    let fails = |route: &str| {
        found.iter().any(|one| matches!(&one.subject, Subject::Route(name) if **name == *route))
    };
    let lonely = |of: &str| {
        let targets = scene.of(|one| matches!(one, Subject::Target { of: its, .. } if **its == *of)).count();
        targets < 2
    };
    // A route with one target is the same said twice.
    let told_twice =
        |subject: &Subject| matches!(subject, Subject::Target { of, .. } if fails(of) && lonely(of));
    let twice: Vec<_> = found.iter().map(|one| told_twice(&one.subject)).collect();
    found.into_iter().zip(twice).filter(|(_, twice)| !twice).map(|(one, _)| one).collect()
}

fn judge(scene: &Scene<'_>, subject: &Subject) -> Option<Finding> {
    let minute = scene.minute(subject);
    if minute.failed < FEWEST || minute.ended == 0 {
        return None;
    }
    let share = share(minute.failed, minute.ended);
    let usual = usual(scene, subject, &minute);
    let (many, some) =
        (scene.bound(NAME, subject, MANY.0, MANY.1), scene.bound(NAME, subject, SOME.0, SOME.1));
    let unusual = usual.is_none_or(|usual| share >= usual * TIMES || (scene.lasts)(NAME, subject));
    if share < many && (share < some || !unusual) {
        return None;
    }
    let severity = if share >= many { Severity::Critical } else { Severity::Warning };
    Some(Finding {
        rule: NAME,
        subject: subject.clone(),
        severity,
        sentence: sentence(&minute, share, usual),
        figures: figures(&minute, share, usual),
        shows: format!("smartproxy conns --sort age{}", told::filter(subject)),
        mends: mends(subject),
    })
}

fn share(failed: u64, ended: u64) -> f64 {
    failed as f64 * 100.0 / ended as f64
}

/// The share of the hour before this minute, in percent; None where nothing is known of so long ago, or nothing ended then.
fn usual(scene: &Scene<'_>, subject: &Subject, minute: &Counted) -> Option<f64> {
    let failed = scene.change(subject, Figure::Failed, HOUR)? - minute.failed as f64;
    let ended = scene.change(subject, Figure::Ended, HOUR)? - minute.ended as f64;
    (ended >= 1.0).then(|| failed.max(0.0) * 100.0 / ended)
}

fn sentence(minute: &Counted, share: f64, usual: Option<f64>) -> String {
    let mostly = minute
        .most(|cause| cause.usual_culprit() == By::Backend)
        .map(|(cause, _)| format!(", mostly {cause}"));
    let usual = usual.map(|usual| format!(" ({} in the hour before)", told::percent(usual)));
    format!(
        "the backend failed {} of {} connections within the last minute, {}{}{}",
        minute.failed,
        minute.ended,
        told::percent(share),
        mostly.unwrap_or_default(),
        usual.unwrap_or_default()
    )
}

fn figures(minute: &Counted, share: f64, usual: Option<f64>) -> Vec<(&'static str, f64)> {
    let mut figures =
        vec![("failed", minute.failed as f64), ("ended", minute.ended as f64), ("failed_percent", share)];
    figures.extend(usual.map(|usual| ("hour_failed_percent", usual)));
    figures
}

fn mends(subject: &Subject) -> String {
    let look = "look at the backend's own log";
    let drain = told::drain(subject).filter(|_| matches!(subject, Subject::Target { .. }));
    match drain {
        Some(drain) => format!("{look}; {drain} takes it out meanwhile"),
        None => look.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted::{self, NoPast, Shown, Table};
    use crate::{Facts, Past, Picture};

    /// What is found where so many of so many failed, in a process that had counted `before`.
    fn found(failed: u64, ended: u64, past: &dyn Past, lasts: bool) -> Vec<Finding> {
        let (mut before, mut now) = (planted::picture(5000), planted::picture(5001));
        planted::route(&mut before, "a").totals = planted::failed(100, 200);
        planted::route(&mut now, "a").totals = planted::failed(100 + failed, 200 + ended);
        let lasts = if lasts { vec![(NAME, planted::subject("a"))] } else { Vec::new() };
        let shown = Shown { lasts, ..Shown::default() };
        shown.before(&before, &Facts::default()).judge(NAME, &now, &Facts::default(), past)
    }

    /// An hour in which, without the last minute, so many percent of 1000 failed, where that minute had `failed` of `ended`.
    fn hour(percent: u32, failed: u64, ended: u64) -> Table {
        let mut table = Table::default();
        let mut put = |figure, sum| table.0.insert((planted::subject("a"), figure, 3600), sum);
        put(Figure::Failed, f64::from(percent * 10) + failed as f64);
        put(Figure::Ended, 1000.0 + ended as f64);
        table
    }

    #[test]
    fn half_of_them_failing_is_found_whatever_was_usual() {
        assert_eq!(found(49, 100, &hour(60, 49, 100), false), []);
        let all = found(50, 100, &hour(60, 50, 100), false);
        assert_eq!((all.len(), all[0].severity), (1, Severity::Critical));
        assert_eq!(
            all[0].sentence,
            "the backend failed 50 of 100 connections within the last minute, 50 %, mostly backend_reset (60 % in the hour before)"
        );
    }

    #[test]
    fn a_few_that_fail_are_no_share() {
        assert_eq!(found(9, 9, &NoPast, false), []);
        assert_eq!(found(10, 10, &NoPast, false).len(), 1);
    }

    #[test]
    fn a_tenth_is_found_where_it_is_three_times_the_usual() {
        assert_eq!(found(99, 1000, &hour(1, 99, 1000), false), [], "less than a tenth");
        assert_eq!(found(100, 1000, &hour(1, 100, 1000), false).len(), 1);
        assert_eq!(found(110, 1000, &hour(4, 110, 1000), false), [], "less than three times");
        assert_eq!(found(120, 1000, &hour(4, 120, 1000), false)[0].severity, Severity::Warning);
        assert_eq!(found(100, 1000, &NoPast, false).len(), 1, "nothing is known to be usual");
    }

    #[test]
    fn what_lasts_is_over_a_little_below_where_it_began() {
        assert_eq!(found(69, 1000, &hour(1, 69, 1000), true), []);
        assert_eq!(found(70, 1000, &hour(1, 70, 1000), true).len(), 1);
        assert_eq!(found(40, 100, &hour(60, 40, 100), true)[0].severity, Severity::Critical);
    }

    #[test]
    fn a_route_with_one_target_is_told_of_once() {
        let picture = |targets: &[(&str, u64)]| {
            let mut picture = planted::picture(1);
            planted::route(&mut picture, "a").totals = planted::failed(30, 40);
            for (target, failed) in targets {
                planted::reading(&mut picture, planted::target("a", target)).totals =
                    planted::failed(*failed, 30);
            }
            picture
        };
        let subjects = |picture: &Picture| {
            let found = planted::judge(NAME, picture, &Facts::default());
            found.iter().map(|one| one.subject.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(subjects(&picture(&[("t", 30)])), ["route a"]);
        assert_eq!(subjects(&picture(&[("t", 30), ("u", 0)])), ["route a", "target t of a"]);
    }
}
