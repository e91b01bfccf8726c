use std::collections::BTreeMap;

use super::*;
use crate::chain::of;
use crate::fixtures::connection;
use proxy_api::chain::{HopTable, chain, join, names, piles};
use proxy_api::model::{Connection, Disagreement, Hop, HopMinute};

fn hop(name: &str, connections: Vec<Connection>) -> HopTable {
    let routes = [("web", true), ("old", false), ("plain", false)];
    HopTable {
        name: name.to_owned(),
        routes: routes.into_iter().map(|(name, sends)| (name.to_owned(), sends)).collect(),
        listeners: vec!["127.0.0.1:9002".to_owned()],
        connections,
    }
}

/// A connection of the inner hop that came through `before`.
fn after(id: &str, phase: &str, before: &[&str]) -> Connection {
    let previous = before.iter().map(|&id| id.to_owned()).collect();
    let target = Some("127.0.0.1:80".to_owned());
    Connection { previous, target, ..connection(id, phase) }
}

fn by_route(id: &str, route: &str) -> Connection {
    Connection { route: Some(route.to_owned()), ..connection(id, "relay") }
}

/// What a hop says whose routes are silent for nine minutes or ten at most.
fn facts(name: &str, connections: u64) -> Hop {
    let just = |seconds| Spread { least_s: Some(seconds), most_s: Some(seconds) };
    let idle = Spread { most_s: Some(600.0), ..just(540.0) };
    let deadlines = HopDeadlines { dial: just(5.0), idle, half_closed: just(30.0) };
    Hop {
        name: name.to_owned(),
        version: "0.5.0".to_owned(),
        pid: 1,
        at: 1e9,
        uptime_s: 3700.0,
        state: "running".to_owned(),
        ready: true,
        generation: 1,
        connections,
        max_connections: 1000,
        opened_total: connections,
        ended_total: 0,
        refused_total: BTreeMap::new(),
        deadlines: Some(deadlines),
        findings: Vec::new(),
    }
}

fn side(name: &str, table: &HopTable) -> ChainHop {
    let connections = table.connections.len() as u64;
    ChainHop {
        name: name.to_owned(),
        place: None,
        answers: true,
        silent_since: None,
        silent_for_s: None,
        why: None,
        clock_ahead_s: Some(0.0),
        clock_within_s: Some(0.001),
        facts: Some(facts(name, connections)),
        minute: None,
        connections: Some(connections),
        piles: piles(table),
    }
}

fn read(tables: Vec<HopTable>, most: usize) -> Chain {
    let said: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
    let hops = names(&said).iter().zip(&tables).map(|(name, table)| side(name, table)).collect();
    chain(of(hops), &join(tables), most)
}

fn told_of(tables: Vec<HopTable>, most: usize) -> String {
    told(&read(tables, most), most)
}

#[test]
fn the_report_says_how_many_are_where_alone_and_why() {
    let dialling = (0..115).map(|n| connection(&format!("o-{n:03}"), "dial"));
    let lost = connection("o-900", "relay");
    let elsewhere = Connection { target: Some("10.0.0.9:443".to_owned()), ..connection("o-901", "dial") };
    let waiting = Connection { target: None, client: None, ..connection("o-902", "header") };
    let good = connection("o-903", "relay");
    let outer = dialling.chain([lost, elsewhere, waiting, good, by_route("o-904", "plain")]).collect();
    let inner = vec![
        after("i-1", "relay", &["o-903"]),
        Connection { age_s: 4000.0, ..after("i-2", "drain", &["o-777"]) },
        connection("i-3", "relay"),
    ];
    let told = told_of(vec![hop("outer", outer), hop("inner", inner)], 4);
    insta::assert_snapshot!(told, @r#"
    outer 120, inner 3: 1 on every hop, 117 on outer only, 1 on inner only
    ! 115 on outer only, in dial → 127.0.0.1:9002, the oldest 1m01s
          outer waits for 127.0.0.1:9002 to accept: does it run, is its backlog full, does a firewall drop?
    ! 1 on outer only, in dial → 10.0.0.9:443, the oldest 1m01s
          outer waits for 10.0.0.9:443 to accept (inner itself has no listener on port 443): does it run, is its backlog full, does a firewall drop?
    ! 1 on outer only, in relay → 127.0.0.1:9002, the oldest 1m01s
          127.0.0.1:9002 has accepted, and inner does not know it: it waits in a backlog there, or its header is still unread
    ! 1 on inner only, in drain → 127.0.0.1:80, the oldest 1h06m
          outer has ended it, or it came by another hop; inner holds it until a deadline: look at DEADLINE in `smartproxy conns` there
      1 on outer, not dialled yet, in header, the oldest 1m01s
          the client has not sent yet what the route is chosen by
      1 on outer, sent on without id, in relay → 127.0.0.1:9002, the oldest 1m01s
          its route sends no id (`send_proxy = "v2"`, with `unique_id` among its fields): where it goes on cannot be told
      1 on inner, came without id, in relay → 127.0.0.1:9002, the oldest 1m01s
          not from outer, or from a route there that sends no id (`send_proxy = "v2"`)

    HOP    STATE    OPEN     UP  CLOCK  DIAL             IDLE  HALF-CLOSED  VERSION
    outer  running   120  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0
    inner  running     3  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0

    outer  PHASE    AGE  inner  PHASE    AGE  CLIENT          → TARGET
    -      -          -  i-2    drain  1h06m  10.0.0.1:40001  → 127.0.0.1:80
    o-000  dial   1m01s  -      -          -  10.0.0.1:40001  → 127.0.0.1:9002
    o-001  dial   1m01s  -      -          -  10.0.0.1:40001  → 127.0.0.1:9002
    o-002  dial   1m01s  -      -          -  10.0.0.1:40001  → 127.0.0.1:9002
    and 118 more (--limit)
    "#);
}

#[test]
fn hops_of_one_name_are_told_apart_and_three_hops_are_named_in_pairs() {
    let hops =
        vec![hop("proxy", vec![connection("o-1", "relay")]), hop("proxy", vec![]), hop("inner", vec![])];
    let told = told_of(hops, 0);
    insta::assert_snapshot!(told, @"
    proxy#1 1, proxy#2 0, inner 0: 0 on every hop, 1 on proxy#1, not on proxy#2
    ! 1 on proxy#1, not on proxy#2, in relay → 127.0.0.1:9002, the oldest 1m01s
          127.0.0.1:9002 has accepted, and proxy#2 does not know it: it waits in a backlog there, or its header is still unread

    HOP      STATE    OPEN     UP  CLOCK  DIAL             IDLE  HALF-CLOSED  VERSION
    proxy#1  running     1  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0
    proxy#2  running     0  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0
    inner    running     0  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0
    and 1 more (--limit)
    ");
}

#[test]
fn a_chain_that_is_whole_says_so() {
    let hops = vec![
        hop("outer", vec![connection("o-1", "relay")]),
        hop("inner", vec![after("i-1", "relay", &["o-1"])]),
    ];
    insta::assert_snapshot!(told_of(hops, 9), @"
    outer 1, inner 1: 1 on every hop, none on one side only

    HOP    STATE    OPEN     UP  CLOCK  DIAL             IDLE  HALF-CLOSED  VERSION
    outer  running     1  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0
    inner  running     1  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0

    outer  PHASE    AGE  inner  PHASE    AGE  CLIENT          → TARGET
    o-1    relay  1m01s  i-1    relay  1m01s  10.0.0.1:40001  → 127.0.0.1:80
    ");
}

#[test]
fn what_is_wrong_with_hops_is_told_before_them() {
    let outer = || hop("outer", vec![connection("o-1", "relay"), connection("o-2", "dial")]);
    let mut one = read(vec![outer(), hop("inner", vec![])], 0);
    one.disagreements.push(Disagreement {
        outer: "outer".to_owned(),
        inner: "inner".to_owned(),
        at: "inner".to_owned(),
        sentence:
            "deadlines of route \"web\" do not pass before those of route \"web\" of outer, in front of it"
                .to_owned(),
        mends: Some("write timeouts = { inactivity_timeout = \"9m\" } in this route".to_owned()),
        advice: false,
    });
    let inner = &mut one.hops[1];
    let refused = BTreeMap::from([("route_limit".to_owned(), 12)]);
    inner.minute = Some(HopMinute { opened: 40, ended: 20, refused });
    inner.clock_ahead_s = Some(-90.0);
    let told_together = told(&one, 0);
    one.hops[1] = ChainHop {
        answers: false,
        silent_since: Some(1e9),
        silent_for_s: Some(75.0),
        why: Some("no answer within 2s: the process is stopped, or very busy".to_owned()),
        facts: None,
        connections: None,
        minute: None,
        clock_ahead_s: None,
        ..one.hops[1].clone()
    };
    one.not_joined = Some("inner does not answer".to_owned());
    (one.groups, one.connections_total) = (Vec::new(), 0);
    insta::assert_snapshot!(told_together, @r#"
    outer 2, inner 0: 0 on every hop, 2 on outer only
    ! 1 on outer only, in dial → 127.0.0.1:9002, the oldest 1m01s
          outer waits for 127.0.0.1:9002 to accept: does it run, is its backlog full, does a firewall drop?
    ! 1 on outer only, in relay → 127.0.0.1:9002, the oldest 1m01s
          127.0.0.1:9002 has accepted, and inner does not know it: it waits in a backlog there, or its header is still unread
    ! outer → inner: deadlines of route "web" do not pass before those of route "web" of outer, in front of it
          in inner: write timeouts = { inactivity_timeout = "9m" } in this route
    ! inner has refused connections in the last minute: route_limit 12
    ! the clock of inner is 1m30s behind

    HOP    STATE    OPEN     UP   CLOCK  DIAL             IDLE  HALF-CLOSED  VERSION
    outer  running     2  1h01m    same  5.0s  9m00s to 10m00s          30s  0.5.0
    inner  running     0  1h01m  -1m30s  5.0s  9m00s to 10m00s          30s  0.5.0
    and 2 more (--limit)
    "#);
    insta::assert_snapshot!(told(&one, 0), @r#"
    outer 2
      1 in dial → 127.0.0.1:9002, the oldest 1m01s
      1 in relay → 127.0.0.1:9002, the oldest 1m01s
    not joined: inner does not answer
    ! inner has not answered for 1m15s: no answer within 2s: the process is stopped, or very busy
    ! outer → inner: deadlines of route "web" do not pass before those of route "web" of outer, in front of it
          in inner: write timeouts = { inactivity_timeout = "9m" } in this route

    HOP    STATE      OPEN     UP  CLOCK  DIAL             IDLE  HALF-CLOSED  VERSION
    outer  running       2  1h01m   same  5.0s  9m00s to 10m00s          30s  0.5.0
    inner  no answer     -      -      -     -                -            -  -
    "#);
}
