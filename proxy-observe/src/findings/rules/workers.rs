//! Workers: one that is late, one that stands still, one that has far more than its share.

use std::time::Duration;

use crate::finding::{Finding, Severity};
use crate::findings::facts::WorkerFacts;
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::subject::Subject;

pub(crate) const LAG: &str = "lag";
pub(crate) const STANDS: &str = "stands_still";
pub(crate) const UNEVEN: &str = "uneven";

/// Seconds by which a timer is late. Whatever needs the worker waits as long; a healthy one is late by its longest turn, a few
/// milliseconds.
const LATE: (f64, f64) = (0.25, 0.1);
/// There are two timers a second.
const STILL: Duration = Duration::from_secs(5);
/// Fewer connections than these fall to one of two workers by chance.
const FEWEST: u64 = 200;
/// Of what lies between an even share and all, so much more; but three times an even share is enough.
const BEYOND: (f64, f64) = (0.6, 0.5);
const TIMES: (f64, f64) = (3.0, 2.5);

/// A worker's timers are late by a quarter of a second, for five seconds on end.
pub(crate) fn lag(scene: &Scene<'_>) -> Vec<Finding> {
    let late = each(scene).filter_map(|(subject, worker)| {
        let lag = worker.lag.as_secs_f64();
        // One that stands still says nothing new of its lag.
        if lag < scene.bound(LAG, &subject, LATE.0, LATE.1) || worker.silent >= STILL {
            return None;
        }
        Some(Finding {
            rule: LAG,
            severity: Severity::Warning,
            sentence: format!("it is late by {lag:.2} s: whatever its {} need waits as long", told::connections(worker.open)),
            figures: vec![("lag_s", lag), ("open", worker.open as f64)],
            shows: "smartproxy top".to_owned(),
            mends: "if the core is full (worker_busy_seconds_total at 1 a second): more workers, or more machines; if not, somebody \
                    else has it (steal, a cgroup's CPU quota)"
                .to_owned(),
            subject,
        })
    });
    late.collect()
}

/// A worker has had no timer for five seconds: none of its connections gets on.
pub(crate) fn stands(scene: &Scene<'_>) -> Vec<Finding> {
    let still = each(scene).filter(|(_, worker)| worker.silent >= STILL).map(|(subject, worker)| Finding {
        rule: STANDS,
        subject,
        severity: Severity::Critical,
        sentence: format!(
            "it has done nothing for {}: {} stand still",
            told::seconds(worker.silent),
            told::connections(worker.open)
        ),
        figures: vec![("silent_s", worker.silent.as_secs_f64()), ("open", worker.open as f64)],
        shows: "smartproxy audit".to_owned(),
        mends: "keep what `gdb -p PID -batch -ex 'thread apply all bt'` says and report it; smartproxy upgrade starts anew".to_owned(),
    });
    still.collect()
}

/// A worker has far more connections than the others, for half a minute.
pub(crate) fn uneven(scene: &Scene<'_>) -> Vec<Finding> {
    let workers = &scene.facts.workers;
    let (all, count) = (workers.iter().map(|worker| worker.open).sum::<u64>(), workers.len());
    if count < 2 || all < FEWEST {
        return Vec::new();
    }
    let even = 1.0 / count as f64;
    let found = each(scene).filter_map(|(subject, worker)| {
        let share = worker.open as f64 / all as f64;
        let beyond = even + scene.bound(UNEVEN, &subject, BEYOND.0, BEYOND.1) * (1.0 - even);
        let times = even * scene.bound(UNEVEN, &subject, TIMES.0, TIMES.1);
        (share >= beyond.min(times)).then(|| Finding {
            rule: UNEVEN,
            severity: Severity::Warning,
            sentence: format!(
                "it has {} of all {}, where an even share of {count} workers is {}",
                told::percent(share * 100.0),
                told::connections(all),
                told::percent(even * 100.0)
            ),
            figures: vec![("open", worker.open as f64), ("all", all as f64), ("share_percent", share * 100.0)],
            shows: "smartproxy top".to_owned(),
            mends: "connections stay where they were accepted: those that come now are spread anew; an upgrade, or smartproxy kill of \
                    the idle ones, evens them out"
                .to_owned(),
            subject,
        })
    });
    found.collect()
}

fn each<'s>(scene: &'s Scene<'_>) -> impl Iterator<Item = (Subject, &'s WorkerFacts)> {
    scene.facts.workers.iter().enumerate().map(|(number, worker)| (Subject::Worker(number), worker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use crate::findings::planted::{self, NoPast, Shown};

    fn found(rule: &'static str, workers: &[WorkerFacts], lasts: bool) -> Vec<Subject> {
        let facts = Facts { workers: workers.to_vec(), ..Facts::default() };
        let lasts = if lasts { vec![(rule, Subject::Worker(0))] } else { Vec::new() };
        let found = Shown { lasts, ..Shown::default() }.judge(rule, &planted::picture(1), &facts, &NoPast);
        found.into_iter().map(|one| one.subject).collect()
    }

    #[test]
    fn a_quarter_of_a_second_is_late() {
        let late = |millis| [WorkerFacts { lag: Duration::from_millis(millis), ..WorkerFacts::default() }];
        assert_eq!((found(LAG, &late(249), false).len(), found(LAG, &late(250), false).len()), (0, 1));
        assert_eq!((found(LAG, &late(99), true).len(), found(LAG, &late(100), true).len()), (0, 1));
    }

    #[test]
    fn one_without_a_timer_for_five_seconds_stands_still() {
        let (lag, well) = (Duration::from_secs(9), WorkerFacts::default());
        let still = |millis| [well, WorkerFacts { silent: Duration::from_millis(millis), lag, ..well }];
        assert_eq!(found(STANDS, &still(4999), false), []);
        assert_eq!(found(STANDS, &still(5000), false), [Subject::Worker(1)]);
        assert_eq!(found(LAG, &still(5000), false), [], "that is told of already");
    }

    #[test]
    fn far_more_than_a_share_is_four_fifths_of_two_and_three_times_of_sixteen() {
        let of = |open: &[u64]| {
            open.iter().map(|open| WorkerFacts { open: *open, ..WorkerFacts::default() }).collect::<Vec<_>>()
        };
        let found = |open: &[u64]| found(UNEVEN, &of(open), false);
        assert_eq!((found(&[799, 201]), found(&[800, 200])), (vec![], vec![Subject::Worker(0)]));
        assert_eq!((found(&[159, 40]).len(), found(&[160, 40]).len()), (0, 1), "few");
        assert_eq!(found(&[1000]), [], "alone");
        let sixteen = |first: u64| {
            let mut open = [50; 16];
            open[0] = first;
            found(&open).len()
        };
        assert_eq!((sixteen(172), sixteen(174)), (0, 1));
    }
}
