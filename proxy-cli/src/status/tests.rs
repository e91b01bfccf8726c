use super::*;
use crate::fixtures;
use proxy_api::model::{Drain, DrainKind};

const NOW: f64 = 1_000_300.0;

#[test]
fn a_proxy_that_is_well_has_no_mark() {
    let told = screen(&fixtures::status(), (&[fixtures::route("web", 5, 115)], &[]), &[], NOW);
    insta::assert_snapshot!(told, @r"
    outer       smartproxy 0.1.0, pid 4711, up 2h05m: running, ready
    connections 120 of 4096 open: 115 dial, 5 relay
                1000 opened, 880 ended: 870 finished, 10 dial_timeout
    route       web: 120 of 1000 open (5 dial, 115 relay), the oldest 1m12s
    pool        chain: 120 of 1000 open, normal
    listener    127.0.0.1:9001: 120 open
    resources   260 of 1024 descriptors; 12 MiB resident, 4.0 MiB allocated
    audit       clean, 12s ago
    config      /etc/smartproxy/outer.toml, generation 3, in force for 5m00s
    log         level info, 0 lines lost
    ");
}

/// A proxy with everything that may be wrong with one.
fn troubled() -> Status {
    let mut status = fixtures::status();
    status.ready = false;
    status.state = "draining".to_owned();
    status.descriptors.used = 1000;
    status.pools[0].level = "shed".to_owned();
    status.pools[0].signal = Some("dials: 115 for 28s".to_owned());
    status.pools[0].waiting = 7;
    status.listeners[0].draining = true;
    status.audit.clean = false;
    status.audit.gauges.insert("zombies".to_owned(), 2);
    status.config.last_reload = Some(Reload {
        taken: false,
        at: NOW - 60.0,
        generation: 3,
        changes: Vec::new(),
        error: Some("error: unknown key `rout`\n  --> outer.toml:3:1".to_owned()),
        warnings: Vec::new(),
    });
    status.drains.push(Drain {
        kind: DrainKind::Route,
        name: Some("web".to_owned()),
        since_s: 30.0,
        began_with: 200,
        left: 120,
        ends_in_s: Some(30.0),
        removed_from: None,
    });
    status.log.lost_total = 3;
    status.last_upgrade = Some(Upgrade {
        taken: false,
        at: NOW - 90.0,
        pid: None,
        error: Some("the new process is not ready after 30s".to_owned()),
    });
    status
}

#[test]
fn everything_that_wants_attention_is_marked() {
    let status = troubled();
    let mut route = fixtures::route("web", 115, 5);
    route.draining = true;
    route.in_force = false;
    route.targets[0].breaker = "open".to_owned();
    route.targets[0].failures_in_a_row = 5;
    route.targets[0].retry_in_s = Some(4.0);
    route.targets[0].failed_total.insert("timeout".to_owned(), 30);
    route.targets[0].draining = true;
    let found = [
        fixtures::finding("pressed", "critical", "pool", "chain", None),
        fixtures::finding("left_alone", "critical", "target", "127.0.0.1:9002", Some("web")),
        fixtures::finding("audit", "critical", "process", "", None),
        fixtures::finding("descriptors", "critical", "process", "", None),
        fixtures::finding("log_lost", "warning", "process", "", None),
        fixtures::finding("drained", "info", "listener", "127.0.0.1:9001", None),
    ];
    let told = screen(&status, (&[fixtures::route("well", 0, 1), route], &[]), &found, NOW);
    insta::assert_snapshot!(told, @r"
    ! outer       smartproxy 0.1.0, pid 4711, up 2h05m: draining, not ready
    ! critical    pool chain, for 10s: it is pressed
                    see:  smartproxy conns
                    mend: look at its log
    ! critical    target 127.0.0.1:9002 of web, for 10s: it is left_alone
                    see:  smartproxy conns
                    mend: look at its log
    ! critical    the process, for 10s: it is audit
                    see:  smartproxy conns
                    mend: look at its log
    ! critical    the process, for 10s: it is descriptors
                    see:  smartproxy conns
                    mend: look at its log
    ! warning     the process, for 10s: it is log_lost
                    see:  smartproxy conns
                    mend: look at its log
    !             and 1 more (smartproxy findings)
      connections 120 of 4096 open: 115 dial, 5 relay
                  1000 opened, 880 ended: 870 finished, 10 dial_timeout
    ! route       web: 120 of 1000 open (115 dial, 5 relay), the oldest 1m12s, drained by an operator: it takes no new ones, no longer in the configuration
    !   target    127.0.0.1:9002: 120 open or in dial, 5 dials failed in a row (in all 30 timeout), breaker open, next try in 4.0s, drained by an operator: it is not dialled
      route       well: 1 of 1000 open (1 relay), the oldest 1m12s
    ! pool        chain: 120 of 1000 open, 7 wait for a place, shed (dials: 115 for 28s)
    ! listener    127.0.0.1:9001: 120 open, drained by an operator: it accepts nothing
    ! drain       route web: 120 of 200 left after 30s; those are ended in 30s
    ! resources   1000 of 1024 descriptors; 12 MiB resident, 4.0 MiB allocated
    ! audit       NOT CLEAN: 2 zombies, 12s ago
      config      /etc/smartproxy/outer.toml, generation 3, in force for 5m00s
    !             the last reload was refused 1m00s ago: outer.toml:3:1: unknown key `rout` (in full: smartproxy check /etc/smartproxy/outer.toml)
    ! upgrade     the last one failed 1m30s ago: the new process is not ready after 30s
    ! log         level info, 3 lines lost
    ");
}

#[test]
fn a_refused_reload_has_the_first_error_with_its_place_and_what_shows_the_others() {
    let told = refusal(fixtures::THREE_ERRORS, "/etc/proxy.toml");
    assert!(told.starts_with("proxy.toml:1:11: "), "{told}");
    assert!(told.ends_with(", and 2 more (in full: smartproxy check /etc/proxy.toml)"), "{told}");
    assert_eq!(refusal("cannot listen on 127.0.0.1:80\n  stop it", "x"), "cannot listen on 127.0.0.1:80");
}

#[test]
fn a_proxy_that_accepts_nobody_says_where_newcomers_are() {
    // Also while some have gone, and not yet a sixteenth.
    let status = Status { full: true, connections: 99, max_connections: 100, ..fixtures::status() };
    let told = screen(&status, (&[], &[]), &[], NOW);
    assert!(
        told.contains("!             full: 99 of 100 connections; newcomers wait in the kernel's backlog\n"),
        "{told}"
    );
}

#[test]
fn a_drain_says_what_becomes_of_those_that_are_left() {
    let drain = |left, ends_in_s| Drain {
        kind: DrainKind::Everything,
        name: None,
        since_s: 30.0,
        began_with: 9,
        left,
        ends_in_s,
        removed_from: None,
    };
    let cases =
        [(3, None), (3, Some(12.0)), (3, Some(0.05)), (3, Some(0.04)), (3, Some(0.0)), (0, Some(0.0))];
    let lines: String = cases.map(|(left, ends)| drain_line(&drain(left, ends)) + "\n").concat();
    insta::assert_snapshot!(lines, @r"
    everything: 3 of 9 left after 30s
    everything: 3 of 9 left after 30s; those are ended in 12s
    everything: 3 of 9 left after 30s; those are ended in 0.1s
    everything: 3 of 9 left after 30s; those are being ended
    everything: 3 of 9 left after 30s; those are being ended
    everything: 0 of 9 left after 30s
    ");
    let removed = Drain {
        kind: DrainKind::Target,
        name: Some("10.0.0.1:80".to_owned()),
        removed_from: Some("inner".to_owned()),
        ..drain(3, Some(12.0))
    };
    insta::assert_snapshot!(drain_line(&removed), @"target 10.0.0.1:80, no member of group inner any more: 3 of 9 left after 30s; those are ended in 12s");
}

#[test]
fn one_screen_holds_many_routes_and_causes() {
    let mut status = fixtures::status();
    status.ended_total = (0..20).map(|n| (format!("cause_{n:02}"), n)).collect();
    status.listeners = (0..500).map(|_| status.listeners[0].clone()).collect();
    let routes: Vec<_> = (0..50).map(|n| fixtures::route(&format!("r{n}"), 0, n)).collect();
    let found: Vec<_> =
        (0..40).map(|n| fixtures::finding("failing", "critical", "route", &format!("r{n}"), None)).collect();
    let told = screen(&status, (&routes, &[]), &found, NOW);
    assert!(told.lines().count() < 24 + 3 * MOST_FINDINGS + 1, "{told}");
    assert!(told.contains("and 35 more (smartproxy findings)"), "{told}");
    assert!(told.contains("and 42 more routes"), "{told}");
    assert!(told.contains("19 cause_19") && told.contains("others") && !told.contains("cause_01"), "{told}");
}

#[test]
fn a_group_is_told_of_with_those_of_its_members_that_are_not_well() {
    let mut route = fixtures::route("web", 5, 115);
    (route.group, route.targets) = (Some("inner".to_owned()), Vec::new());
    let found = [fixtures::finding("down", "warning", "target", "10.0.0.2:443", Some("@inner"))];
    let told = screen(&fixtures::status(), (&[route], &[fixtures::group()]), &found, NOW);
    let lines: Vec<&str> =
        told.lines().filter(|line| line.contains("inner") || line.contains("10.0")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    ! warning     target 10.0.0.2:443 of @inner, for 10s: it is down
      route       web → @inner: 120 of 1000 open (5 dial, 115 relay), the oldest 1m12s
    ! group       inner: 135 open or in dial by way of 2 routes, 3 of 4 members up
    !   member    10.0.0.2:443: 3 open or in dial, down: no answer to its check within 2s, for 1m15s
    ");
}
