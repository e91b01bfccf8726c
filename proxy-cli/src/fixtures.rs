//! Values of the API, for the tests of what is made of them.

use std::collections::BTreeMap;

use proxy_api::model::{
    AuditSummary, ConfigStatus, Connection, Finding, Group, Listener, LogStatus, Memory, Outcomes, Phase,
    Phases, Pool, Route, Status, Subject, Target, Usage,
};

/// An established connection of `outer`, a minute old.
pub(super) fn connection(id: &str, phase: &str) -> Connection {
    Connection {
        id: id.to_owned(),
        previous: Vec::new(),
        role: "accepted".to_owned(),
        phase: phase.to_owned(),
        state: "ESTABLISHED".to_owned(),
        client: Some("10.0.0.1:40001".to_owned()),
        peer: "10.0.0.1:40001".to_owned(),
        listener: "127.0.0.1:9001".to_owned(),
        server_name: None,
        tls: None,
        hop: None,
        route: Some("web".to_owned()),
        target: Some("127.0.0.1:9002".to_owned()),
        pool: Some("chain".to_owned()),
        age_s: 61.0,
        in_phase_s: 60.0,
        idle_s: 3.21,
        from_client_bytes: 512,
        from_backend_bytes: 3_565_158,
        deadline: "idle".to_owned(),
        deadline_in_s: 597.0,
        immortal: false,
    }
}

pub(super) fn usage(used: u64, most: Option<u64>) -> Usage {
    Usage { used, most }
}

/// Of so many connections, of which the backend failed some, and half a dozen at the most were refused.
pub(super) fn outcomes(opened: u64, failed: u64) -> Outcomes {
    let refused = (opened - failed).min(6);
    let ended =
        [("finished", opened - failed - refused), ("backend_reset", failed), ("route_limit", refused)];
    Outcomes {
        opened_total: opened,
        ended_total: ended.map(|(cause, count)| (cause.to_owned(), count)).into(),
        failed_total: failed,
        refused_total: refused,
        first_byte_p99_s: Some(0.02),
        from_client_bytes_total: 3 << 20,
        from_backend_bytes_total: 5 << 30,
        ..Outcomes::default()
    }
}

pub(super) fn target() -> Target {
    Target {
        route: "web".to_owned(),
        group: None,
        target: "127.0.0.1:9002".to_owned(),
        found_by: None,
        state: "up".to_owned(),
        why: None,
        since_s: None,
        weight: 1,
        share_percent: 100,
        by_hand: false,
        priority: 0,
        backup: false,
        connections: usage(120, None),
        breaker: "closed".to_owned(),
        failures_in_a_row: 0,
        retry_in_s: None,
        checked_total: 0,
        checks_failed_total: 0,
        dialled_total: 400,
        dial_median_s: Some(0.001),
        failed_total: BTreeMap::new(),
        draining: false,
        outcomes: outcomes(400, 0),
    }
}

/// A finding of ten seconds.
pub(super) fn finding(rule: &str, severity: &str, kind: &str, name: &str, of: Option<&str>) -> Finding {
    let subject = Subject { kind: kind.to_owned(), name: name.to_owned(), of: of.map(str::to_owned) };
    Finding {
        id: format!("{rule}/{kind}/{name}"),
        rule: rule.to_owned(),
        severity: severity.to_owned(),
        subject,
        since: 1_000_290.0,
        since_s: 10.0,
        figures: BTreeMap::new(),
        sentence: format!("it is {rule}"),
        shows: "smartproxy conns".to_owned(),
        mends: "look at its log".to_owned(),
    }
}

/// A member of the group `inner`.
pub(super) fn member(name: &str, used: u64) -> Target {
    let (route, group) = (String::new(), Some("inner".to_owned()));
    Target { route, group, target: name.to_owned(), connections: usage(used, None), ..target() }
}

/// The group `inner`: one member is well, and the others are not.
pub(super) fn group() -> Group {
    let down = Target {
        state: "down".to_owned(),
        why: Some("no answer to its check within 2s".to_owned()),
        since_s: Some(75.0),
        ..member("10.0.0.2:443", 3)
    };
    let back =
        Target { state: "slow_start".to_owned(), share_percent: 40, weight: 4, ..member("10.0.0.3:443", 12) };
    let spare = Target { backup: true, priority: 1, by_hand: true, weight: 0, ..member("10.0.0.4:443", 0) };
    Group {
        name: "inner".to_owned(),
        balance: "least_connections".to_owned(),
        routes: 2,
        connections: 135,
        members_up: 3,
        members_in_all: 4,
        members: vec![member("10.0.0.1:443", 120), down, back, spare],
        names: Vec::new(),
    }
}

pub(super) fn route(name: &str, dial: u64, relay: u64) -> Route {
    Route {
        name: name.to_owned(),
        connections: usage(dial + relay, Some(1000)),
        waiting: 0,
        turned_away: 0,
        phases: Phases::from([(Phase::Dial, dial), (Phase::Relay, relay)]),
        oldest_s: (dial + relay > 0).then_some(72.0),
        from_client_bytes: 0,
        from_backend_bytes: 0,
        send_proxy: Some("v2".to_owned()),
        sends_id: true,
        group: None,
        targets: vec![target()],
        draining: false,
        in_force: true,
        enabled: true,
        outcomes: outcomes(1000, 0),
        sockets: None,
    }
}

pub(super) fn status() -> Status {
    Status {
        name: "outer".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 4711,
        uptime_s: 7_500.0,
        state: "running".to_owned(),
        ready: true,
        workers: 2,
        connections: 120,
        max_connections: 4096,
        full: false,
        opened_total: 1000,
        ended_total: BTreeMap::from([("finished".to_owned(), 870), ("dial_timeout".to_owned(), 10)]),
        phases: Phases::from([(Phase::Dial, 115), (Phase::Relay, 5)]),
        pools: vec![Pool {
            name: "chain".to_owned(),
            connections: usage(120, Some(1000)),
            waiting: 0,
            turned_away: 0,
            level: "normal".to_owned(),
            signal: None,
            outcomes: outcomes(1000, 0),
        }],
        listeners: vec![Listener {
            name: "127.0.0.1:9001".to_owned(),
            connections: usage(120, None),
            waiting: 0,
            turned_away: 0,
            draining: false,
            outcomes: outcomes(1000, 0),
        }],
        descriptors: usage(260, Some(1024)),
        memory: Memory { resident_bytes: 12 << 20, allocated_bytes: 4 << 20 },
        audit: AuditSummary {
            clean: true,
            ago_s: Some(12.0),
            gauges: BTreeMap::from([("zombies".to_owned(), 0)]),
            rescued_total: 0,
            blind: None,
        },
        config: ConfigStatus {
            origin: "/etc/smartproxy/outer.toml".to_owned(),
            generation: 3,
            loaded_at: 1_000_000.0,
            last_reload: None,
        },
        drains: Vec::new(),
        last_upgrade: None,
        log: LogStatus { level: "info".to_owned(), lost_total: 0 },
    }
}

/// What a configuration with three errors is refused with (`proxy-bin/tests/config_file` has the pictures of all).
pub(crate) const THREE_ERRORS: &str = "\
error: expected a whole number from 1 to 256
 --> proxy.toml:1:11
  |
1 | workers = \"many\"
  |           ^^^^^^ this is a string

error: unknown key `rout`
 --> proxy.toml:2:1
  |
2 | rout = 1
  | ^^^^ did you mean `routes`?

error: unknown key `rautes`
 --> proxy.toml:3:1
  |
3 | rautes = 2
  | ^^^^^^ did you mean `routes`?
";
