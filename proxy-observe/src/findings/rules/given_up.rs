//! Routes and targets of which many connections end unanswered: clients have spoken, and given up before a word came.

use crate::finding::{Finding, Severity};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::picture::Reading;
use crate::subject::Subject;

pub(crate) const NAME: &str = "unanswered";

/// Below so many within a minute a share says nothing.
const FEWEST: (f64, f64) = (10.0, 5.0);
/// In percent of those that ended.
const SHARE: (f64, f64) = (20.0, 14.0);
/// What is not usual: so many times the share since the start.
const TIMES: f64 = 3.0;

/// A fifth of the connections that ended within the last minute had no answer to what their clients had said, three times as large a
/// share as since the start. What never answers anybody, as a collector of logs, is not judged.
pub(crate) fn unanswered(scene: &Scene<'_>) -> Vec<Finding> {
    scene.targets().filter_map(|(subject, reading)| judge(scene, subject, reading)).collect()
}

fn judge(scene: &Scene<'_>, subject: &Subject, reading: &Reading) -> Option<Finding> {
    let (minute, totals) = (scene.minute(subject), &reading.totals);
    let enough = minute.unanswered as f64 >= scene.bound(NAME, subject, FEWEST.0, FEWEST.1);
    if !enough || totals.from_backend == 0 {
        return None;
    }
    let percent = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 };
    let share = percent(minute.unanswered, minute.ended);
    let before =
        (totals.unanswered.saturating_sub(minute.unanswered), totals.ended().saturating_sub(minute.ended));
    let usual = percent(before.0, before.1);
    let unusual = share >= usual * TIMES || (scene.lasts)(NAME, subject);
    (share >= scene.bound(NAME, subject, SHARE.0, SHARE.1) && unusual).then(|| Finding {
        rule: NAME,
        subject: subject.clone(),
        severity: Severity::Critical,
        sentence: format!(
            "{} of {} that ended within the last minute had no answer to what their clients said, {} ({} before)",
            minute.unanswered,
            told::connections(minute.ended),
            told::percent(share),
            told::percent(usual)
        ),
        figures: vec![
            ("unanswered", minute.unanswered as f64),
            ("ended", minute.ended as f64),
            ("unanswered_percent", share),
            ("usual_unanswered_percent", usual),
        ],
        shows: format!("smartproxy conns --phase relay --sort idle{}", told::filter(subject)),
        mends: format!(
            "look at the backend's own log: it accepts, and is too slow or hangs; {} takes it out meanwhile",
            told::drain(subject).unwrap_or_default()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use crate::findings::planted::{self, NoPast, Shown};
    use proxy_conn::{Cause, Totals};

    fn totals(unanswered: u64, ended: u64, says: u64) -> Totals {
        let mut totals = planted::totals(&[(Cause::Finished, ended)]);
        (totals.unanswered, totals.from_backend) = (unanswered, says);
        totals
    }

    /// What is found where so many of so many had no answer, after so many of so many that had none before.
    fn found(now: (u64, u64), before: (u64, u64), says: u64, lasts: bool) -> usize {
        let target = || planted::target("a", "t");
        let (mut then, mut picture) = (planted::picture(5000), planted::picture(5001));
        planted::reading(&mut then, target()).totals = totals(before.0, before.1, says);
        planted::reading(&mut picture, target()).totals = totals(before.0 + now.0, before.1 + now.1, says);
        let lasts = if lasts { vec![(NAME, target())] } else { Vec::new() };
        let shown = Shown { lasts, ..Shown::default() }.before(&then, &Facts::default());
        shown.judge(NAME, &picture, &Facts::default(), &NoPast).len()
    }

    #[test]
    fn a_fifth_without_an_answer_is_found_where_that_is_not_usual() {
        assert_eq!((found((9, 9), (0, 100), 1, false), found((10, 10), (0, 100), 1, false)), (0, 1));
        assert_eq!((found((19, 100), (0, 100), 1, false), found((20, 100), (0, 100), 1, false)), (0, 1));
        assert_eq!((found((29, 100), (10, 100), 1, false), found((30, 100), (10, 100), 1, false)), (0, 1));
        assert_eq!((found((13, 100), (10, 100), 1, true), found((14, 100), (10, 100), 1, true)), (0, 1));
    }

    #[test]
    fn what_never_says_a_word_is_a_collector_of_logs() {
        assert_eq!(found((50, 50), (0, 0), 0, false), 0);
        assert_eq!(found((50, 50), (0, 0), 1, false), 1);
    }
}
