use super::*;
use crate::chain::report::Report;
use crate::fixtures::connection;

fn hop(name: &str, connections: Vec<Connection>) -> Hop {
    let routes = [("web", true), ("old", false), ("plain", false)];
    Hop {
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

fn kinds(joined: &Joined) -> Vec<(String, Kind)> {
    let name = |id: Option<&str>| id.unwrap_or("-").to_owned();
    let lives = joined.lives.iter();
    lives
        .map(|life| (joined.ids(life).into_iter().map(name).collect::<Vec<_>>().join(" "), life.kind))
        .collect()
}

fn joined(outer: Vec<Connection>, inner: Vec<Connection>) -> Vec<(String, Kind)> {
    kinds(&join(vec![hop("outer", outer), hop("inner", inner)]))
}

fn one(ids: &str, kind: Kind) -> Vec<(String, Kind)> {
    vec![(ids.to_owned(), kind)]
}

#[test]
fn a_connection_on_both_hops_is_one() {
    let both = joined(vec![connection("o-1", "relay")], vec![after("i-1", "relay", &["x-9", "o-1"])]);
    assert_eq!(both, one("o-1 i-1", Kind::Whole));
}

#[test]
fn what_the_next_hop_should_have_and_has_not_is_missing_there() {
    for phase in ["dial", "relay", "drain"] {
        assert_eq!(
            joined(vec![connection("o-1", phase)], vec![]),
            one("o-1 -", Kind::MissingAfter(0)),
            "{phase}"
        );
    }
}

#[test]
fn what_the_hop_before_has_ended_is_missing_there() {
    assert_eq!(joined(vec![], vec![after("i-1", "relay", &["o-1"])]), one("- i-1", Kind::MissingBefore(1)));
}

#[test]
fn nobody_is_called_one_sided_who_cannot_be_told() {
    for phase in ["header", "peek"] {
        assert_eq!(joined(vec![connection("o-1", phase)], vec![]), one("o-1 -", Kind::NotYet(0)), "{phase}");
    }
    for route in ["old", "plain"] {
        assert_eq!(joined(vec![by_route("o-1", route)], vec![]), one("o-1 -", Kind::NoIdSent(0)), "{route}");
    }
    assert_eq!(joined(vec![], vec![connection("i-1", "relay")]), one("- i-1", Kind::NoIdCame(1)));
    assert_eq!(joined(vec![], vec![connection("i-1", "header")]), one("- i-1", Kind::HeaderUnread(1)));
}

#[test]
fn a_route_that_has_gone_from_the_configuration_excuses_nobody() {
    assert_eq!(joined(vec![by_route("o-1", "gone")], vec![]), one("o-1 -", Kind::MissingAfter(0)));
}

#[test]
fn of_two_on_the_next_hop_the_older_is_left_over() {
    let old = Connection { age_s: 90.0, ..after("i-1", "relay", &["o-1"]) };
    let young = Connection { age_s: 5.0, ..after("i-2", "relay", &["o-1"]) };
    let both = joined(vec![connection("o-1", "relay")], vec![old, young]);
    assert_eq!(both, [one("o-1 i-2", Kind::Whole), one("- i-1", Kind::MissingBefore(1))].concat());
}

#[test]
fn a_hop_in_the_middle_that_lost_it_is_named() {
    let middle = hop("middle", vec![after("m-1", "relay", &["o-1"])]);
    let inner =
        hop("inner", vec![after("i-1", "relay", &["o-1", "m-1"]), after("i-2", "relay", &["o-2", "m-2"])]);
    let outer = hop("outer", vec![connection("o-1", "relay"), connection("o-2", "relay")]);
    let through = join(vec![outer, middle, inner]);
    let expected = [one("o-1 m-1 i-1", Kind::Whole), one("o-2 - i-2", Kind::MissingAfter(0))].concat();
    assert_eq!(kinds(&through), expected);
}

#[test]
fn only_what_is_one_sided_twice_is_called_so() {
    let reading = |outer: &[&str], inner: &[(&str, &str)]| {
        let outer = outer.iter().map(|id| connection(id, "relay")).collect();
        let inner = inner.iter().map(|(id, before)| after(id, "relay", &[before])).collect();
        join(vec![hop("outer", outer), hop("inner", inner)])
    };
    // o-1 stays one-sided; o-2 had been on its way; o-3 is new; o-4 has gone since.
    let first = reading(&["o-1", "o-2", "o-4"], &[]);
    assert!(!first.is_whole());
    let second = reading(&["o-1", "o-2", "o-3"], &[("i-2", "o-2")]).confirmed_by(&first);
    let mut kinds = kinds(&second);
    kinds.sort_by(|a, b| a.0.cmp(&b.0));
    let expected =
        [one("o-1 -", Kind::MissingAfter(0)), one("o-2 i-2", Kind::Whole), one("o-3 -", Kind::Moving)];
    assert_eq!(kinds, expected.concat());
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
    let told = Report::of(&join(vec![hop("outer", outer), hop("inner", inner)])).told(4);
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
    let told = Report::of(&join(hops)).told(0);
    insta::assert_snapshot!(told, @r"
    proxy#1 1, proxy#2 0, inner 0: 0 on every hop, 1 on proxy#1, not on proxy#2
    ! 1 on proxy#1, not on proxy#2, in relay → 127.0.0.1:9002, the oldest 1m01s
          127.0.0.1:9002 has accepted, and proxy#2 does not know it: it waits in a backlog there, or its header is still unread

    proxy#1  PHASE  AGE  proxy#2  PHASE  AGE  inner  PHASE  AGE  CLIENT  → TARGET
    and 1 more (--limit)
    ");
}

#[test]
fn a_chain_that_is_whole_says_so() {
    let hops = vec![
        hop("outer", vec![connection("o-1", "relay")]),
        hop("inner", vec![after("i-1", "relay", &["o-1"])]),
    ];
    insta::assert_snapshot!(Report::of(&join(hops)).told(9), @r"
    outer 1, inner 1: 1 on every hop, none on one side only

    outer  PHASE    AGE  inner  PHASE    AGE  CLIENT          → TARGET
    o-1    relay  1m01s  i-1    relay  1m01s  10.0.0.1:40001  → 127.0.0.1:80
    ");
}

#[test]
fn hops_that_are_named_from_the_inside_out_are_not_compared() {
    let outer = || hop("outer", vec![connection("o-1", "relay")]);
    let inner = || hop("inner", vec![after("i-1", "relay", &["o-1"])]);
    assert_eq!(turned(&[inner(), outer()]), Some(("outer", "inner")));
    assert_eq!(turned(&[outer(), inner()]), None);
    assert_eq!(turned(&[inner(), hop("other", vec![connection("x-1", "relay")])]), None);
}
