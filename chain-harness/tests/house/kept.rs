//! Circles of files that stay, each with the reason.

/// Files of one folder that use each other, by the folder (or the parent's file) and their names, and why that is so.
pub(crate) const KEPT: &[(&str, &[&str], &str)] = &[
    (
        "proxy-core/src/dial",
        &["error.rs", "gate.rs"],
        "a gate says why it is closed, which is one of the reasons of a dial, and is told of the others",
    ),
    (
        "proxy-core/src",
        &["dial.rs", "dial/race.rs", "dial/reach.rs"],
        "the race is the inside of `reach`, which is the outside of `dial`: what both speak of stands where it is public",
    ),
    (
        "proxy-core/src/hello",
        &["error.rs", "record.rs"],
        "an error of a record names the largest that may be, which the reader of records knows",
    ),
    (
        "proxy-core/src",
        &["process/activation.rs", "sys.rs", "tcp_info.rs"],
        "all that is unsafe is in one file, and gives what the safe files around it define",
    ),
    (
        "proxy-conn/src",
        &[
            "audit.rs",
            "audit/compare.rs",
            "audit/looks.rs",
            "audit/report.rs",
            "audit/state.rs",
            "audit/stuck.rs",
        ],
        "one comparison in steps: each names the findings of the others",
    ),
    (
        "proxy-conn/src/audit",
        &["diag.rs", "kernel.rs", "proc.rs"],
        "two ways to read the same rows, and who chooses between them",
    ),
    (
        "proxy-conn/src",
        &[
            "audit/table.rs",
            "entry.rs",
            "entry/known.rs",
            "figures.rs",
            "guard.rs",
            "tracker.rs",
            "tracker/places.rs",
        ],
        "the table, its entries and their guards are one invariant, told in several files",
    ),
    (
        "proxy-conn/src",
        &["breaker.rs", "breaker/change.rs", "breaker/state.rs"],
        "a state machine and the changes that it reports",
    ),
    (
        "proxy-conn/src/overload",
        &["growth.rs", "level.rs", "signal.rs"],
        "a signal says how severe it is, and severity is told by signals",
    ),
    (
        "proxy-upstream/src",
        &["discovery.rs", "options.rs"],
        "a group's options have names that stand for members, and what those stand for has the options of members",
    ),
    (
        "proxy-upstream/src",
        &["candidates.rs", "group.rs", "group/follow.rs"],
        "a group hands out its candidates, which are its members in an order",
    ),
    (
        "proxy-bin/src/config",
        &[
            "access_rule.rs",
            "acme.rs",
            "acme/automatic.rs",
            "admin.rs",
            "admin/hop.rs",
            "breaker.rs",
            "egress.rs",
            "file.rs",
            "group.rs",
            "group/check.rs",
            "group/health.rs",
            "group/health/check.rs",
            "kernel.rs",
            "limits.rs",
            "listener.rs",
            "log.rs",
            "pool.rs",
            "process.rs",
            "route.rs",
            "send_proxy.rs",
            "tls.rs",
            "tls/hop.rs",
            "tls/terminate.rs",
        ],
        "the form of the file is made of its tables' types, and what is wrong with a table shows only in the file as a whole",
    ),
];
