//! The process as a whole: the audit, faults, reloads and upgrades that failed, the log, and what an operator does.

use proxy_conn::Cause;

use crate::finding::{Finding, Severity};
use crate::findings::facts::{Drained, LOST, RESCUED};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::subject::Subject;

pub(crate) const AUDIT: &str = "audit";
pub(crate) const FAULT: &str = "fault";
pub(crate) const RELOAD: &str = "reload";
pub(crate) const UPGRADE: &str = "upgrade";
pub(crate) const LOG_LOST: &str = "log_lost";
pub(crate) const LOG_FAILING: &str = "log_failing";
pub(crate) const LEAVING: &str = "leaving";
pub(crate) const DRAINED: &str = "drained";

/// The last audit has found what must not be, or was blind.
pub(crate) fn audit(scene: &Scene<'_>) -> Vec<Finding> {
    let audit = &scene.facts.audit;
    let differences = (!audit.differences.is_empty()).then(|| {
        let counts = audit.differences.iter().map(|(gauge, count)| format!("{count} {gauge}"));
        Finding {
            severity: Severity::Critical,
            sentence: format!(
                "the table and the kernel do not agree: {}. A fault of the proxy",
                counts.collect::<Vec<_>>().join(", ")
            ),
            figures: audit.differences.iter().map(|(gauge, count)| (*gauge, *count as f64)).collect(),
            mends: "keep what it says and the error lines that begin with audit:, and report them; smartproxy upgrade frees all".to_owned(),
            ..of(AUDIT, "smartproxy audit")
        }
    });
    let blind = audit.blind.as_ref().map(|why| Finding {
        severity: Severity::Warning,
        sentence: format!("the audit cannot see the kernel's sockets: {why}"),
        mends: "connections are served all the same; a sandbox that hides /proc or netlink has to let it"
            .to_owned(),
        ..of(AUDIT, "smartproxy audit")
    });
    differences.or(blind).into_iter().collect()
}

/// A connection ended by a fault of the proxy's, within the last hour.
pub(crate) fn fault(scene: &Scene<'_>) -> Vec<Finding> {
    let minute = scene.minute(&Subject::Process);
    let is_fault = |cause: Cause| {
        matches!(cause, Cause::Overdue | Cause::Panicked | Cause::Aborted | Cause::IllegalTransition)
    };
    let ended: u64 = Cause::ALL.iter().filter(|cause| is_fault(**cause)).map(|cause| minute.of(*cause)).sum();
    let count = ended.max(scene.lately.other(RESCUED));
    if count == 0 {
        return Vec::new();
    }
    let cause = minute.most(is_fault).map_or("overdue", |(cause, _)| cause.name());
    vec![Finding {
        severity: Severity::Critical,
        sentence: format!(
            "{} ended as {cause}, a fault of the proxy, within the last hour",
            told::connections(count)
        ),
        figures: vec![("ended", count as f64)],
        mends: "keep its error lines and what smartproxy audit says, and report them".to_owned(),
        ..of(FAULT, "smartproxy audit")
    }]
}

/// The last reload was refused.
pub(crate) fn reload(scene: &Scene<'_>) -> Vec<Finding> {
    let refused = scene.facts.reload_refused.as_ref().map(|why| Finding {
        sentence: format!("the last reload was refused, and what was in force is: {why}"),
        mends: "mend the file (smartproxy check FILE shows all that is wrong), then smartproxy reload"
            .to_owned(),
        ..of(RELOAD, "smartproxy status")
    });
    refused.into_iter().collect()
}

/// The last upgrade failed.
pub(crate) fn upgrade(scene: &Scene<'_>) -> Vec<Finding> {
    let failed = scene.facts.upgrade_failed.as_ref().map(|why| Finding {
        sentence: format!("the last upgrade failed, and this process serves on: {why}"),
        mends: "mend what it says, then smartproxy upgrade".to_owned(),
        ..of(UPGRADE, "smartproxy status")
    });
    failed.into_iter().collect()
}

/// Lines of the log were lost within the last minute.
pub(crate) fn log_lost(scene: &Scene<'_>) -> Vec<Finding> {
    let lost = scene.lately.other(LOST);
    if lost == 0 {
        return Vec::new();
    }
    vec![Finding {
        sentence: format!("{lost} lines of the log were lost within the last minute"),
        figures: vec![("lost", lost as f64)],
        mends: "whoever reads it, or its disk, is too slow or full: log fewer lines ([log] and its rules), or elsewhere".to_owned(),
        ..of(LOG_LOST, "smartproxy log")
    }]
}

/// The log cannot be written: its disk is full, or its reader is gone.
pub(crate) fn log_failing(scene: &Scene<'_>) -> Vec<Finding> {
    let fails = scene.facts.log.as_ref().and_then(|log| log.fails.as_ref()).map(|place| Finding {
        severity: Severity::Critical,
        sentence: format!("the log cannot be written to {place}: its disk is full, or its reader has gone"),
        mends: "make room, then smartproxy log --reopen if the file was moved away".to_owned(),
        ..of(LOG_FAILING, "smartproxy log")
    });
    fails.into_iter().collect()
}

/// The process is about to stop, or another takes over.
pub(crate) fn leaving(scene: &Scene<'_>) -> Vec<Finding> {
    let leaves = scene.facts.leaves.map(|state| Finding {
        severity: Severity::Info,
        sentence: format!("it is {}", state.replace('_', " ")),
        mends: "nothing: somebody has asked for it".to_owned(),
        ..of(LEAVING, "smartproxy status")
    });
    leaves.into_iter().collect()
}

/// An operator drains something.
pub(crate) fn drained(scene: &Scene<'_>) -> Vec<Finding> {
    let drained = scene.facts.drained.iter().map(|Drained { subject, undo }| Finding {
        subject: subject.clone(),
        severity: Severity::Info,
        sentence: "an operator drains it: it takes no new connections".to_owned(),
        mends: format!("{undo} takes new ones again"),
        ..of(DRAINED, "smartproxy drain list")
    });
    drained.collect()
}

/// What those of the process have.
fn of(rule: &'static str, shows: &str) -> Finding {
    Finding {
        rule,
        subject: Subject::Process,
        severity: Severity::Warning,
        sentence: String::new(),
        figures: Vec::new(),
        shows: shows.to_owned(),
        mends: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted::{self, Shown};
    use crate::{AuditFacts, Facts, LogFacts};

    fn found(rule: &str, facts: &Facts) -> Vec<String> {
        let found = planted::judge(rule, &planted::picture(1), facts);
        found.into_iter().map(|one| one.sentence).collect()
    }

    #[test]
    fn an_audit_that_is_clean_and_sees_says_nothing() {
        let audit = |differences: &[(&'static str, u64)], blind: Option<&str>| {
            let audit =
                AuditFacts { differences: differences.to_vec(), blind: blind.map(str::to_owned), rescued: 3 };
            found(AUDIT, &Facts { audit, ..Facts::default() })
        };
        assert!(audit(&[], None).is_empty());
        assert_eq!(audit(&[], Some("no /proc")), ["the audit cannot see the kernel's sockets: no /proc"]);
        assert_eq!(
            audit(&[("zombies", 2)], Some("no /proc")),
            ["the table and the kernel do not agree: 2 zombies. A fault of the proxy"]
        );
    }

    #[test]
    fn one_fault_is_found() {
        let found = |cause, count, rescued| {
            let mut picture = planted::picture(1);
            planted::reading(&mut picture, Subject::Process).totals = planted::totals(&[(cause, count)]);
            let facts = |rescued| Facts {
                audit: AuditFacts { rescued, ..AuditFacts::default() },
                ..Facts::default()
            };
            let before = planted::picture(0);
            Shown::default()
                .before(&before, &facts(0))
                .judge(FAULT, &picture, &facts(rescued), &planted::NoPast)
                .len()
        };
        assert_eq!((found(Cause::Panicked, 0, 0), found(Cause::Finished, 9, 0)), (0, 0));
        assert_eq!(
            (found(Cause::Panicked, 1, 0), found(Cause::Overdue, 1, 0), found(Cause::Finished, 1, 1)),
            (1, 1, 1)
        );
    }

    #[test]
    fn what_was_refused_or_failed_is_told_until_it_is_not() {
        assert!(found(RELOAD, &Facts::default()).is_empty() && found(UPGRADE, &Facts::default()).is_empty());
        let why = || Some("it is so".to_owned());
        let facts = Facts { reload_refused: why(), upgrade_failed: why(), ..Facts::default() };
        assert_eq!(
            found(RELOAD, &facts),
            ["the last reload was refused, and what was in force is: it is so"]
        );
        assert_eq!(found(UPGRADE, &facts), ["the last upgrade failed, and this process serves on: it is so"]);
    }

    #[test]
    fn a_line_that_is_lost_is_found() {
        let log = |lost| Facts { log: Some(LogFacts { lost, fails: None }), ..Facts::default() };
        let found = |lost| {
            let shown = Shown::default().before(&planted::picture(1), &log(7));
            shown.judge(LOG_LOST, &planted::picture(2), &log(lost), &planted::NoPast).len()
        };
        assert_eq!((found(7), found(8)), (0, 1));
    }

    #[test]
    fn a_log_that_cannot_be_written_is_found() {
        let log = |fails: Option<&str>| {
            let log = LogFacts { lost: 0, fails: fails.map(str::to_owned) };
            found(LOG_FAILING, &Facts { log: Some(log), ..Facts::default() })
        };
        assert!(log(None).is_empty());
        assert_eq!(
            log(Some("/x")),
            ["the log cannot be written to /x: its disk is full, or its reader has gone"]
        );
    }

    #[test]
    fn what_an_operator_does_is_told_of() {
        assert!(found(LEAVING, &Facts::default()).is_empty() && found(DRAINED, &Facts::default()).is_empty());
        assert_eq!(
            found(LEAVING, &Facts { leaves: Some("handing_over"), ..Facts::default() }),
            ["it is handing over"]
        );
        let undo = "smartproxy drain route a --undo".to_owned();
        let drained = vec![Drained { subject: planted::subject("a"), undo }];
        assert_eq!(
            found(DRAINED, &Facts { drained, ..Facts::default() }),
            ["an operator drains it: it takes no new connections"]
        );
    }
}
