//! What does not make a table, and what the author of the routes gets to read.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed assumption of a test is its failure")]

use insta::assert_snapshot;
use proxy_route::{BuildError, BuildErrors, Match, RouteSpec, RouteTable};

fn on(ports: &str, domains: &str, clients: &str, alpn: &str) -> Match {
    Match::on(ports.split_whitespace().map(|text| text.parse().unwrap()))
        .domains(domains.split_whitespace().map(|text| text.parse().unwrap()))
        .clients(clients.split_whitespace().map(|text| text.parse().unwrap()))
        .alpn(alpn.split_whitespace().map(|text| text.parse().unwrap()))
}

fn route(name: &str, matches: Match) -> RouteSpec {
    RouteSpec::new(name, matches)
}

fn build(routes: impl IntoIterator<Item = RouteSpec>) -> Result<RouteTable<()>, BuildErrors> {
    RouteTable::build(routes.into_iter().map(|spec| (spec, ())))
}

/// The errors of two routes "a" and "b" with these matches.
fn refusal(a: Match, b: Match) -> BuildErrors {
    build([route("a", a), route("b", b)]).unwrap_err()
}

fn accepts(a: Match, b: Match) {
    if let Err(errors) = build([route("a", a), route("b", b)]) {
        panic!("{errors}");
    }
}

#[test]
fn two_routes_on_one_port_are_ambiguous() {
    assert_snapshot!(refusal(on("443", "", "", ""), on("443", "", "", "")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match port 443: give one a higher priority or a narrower match"#);
    accepts(on("443", "", "", ""), on("444", "", "", ""));
}

#[test]
fn ranges_collide_in_what_they_share() {
    assert_snapshot!(refusal(on("80-90", "", "", ""), on("1 85-99", "", "", "")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match ports 85-90: give one a higher priority or a narrower match"#);
    accepts(on("80-90", "", "", ""), on("91-99", "", "", ""));
}

#[test]
fn domains_collide_when_both_name_the_same_pattern() {
    assert_snapshot!(refusal(on("443", "x.com *.A.com", "", ""), on("443", "*.a.com. y.com", "", "")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match port 443, domain *.a.com: give one a higher priority or a narrower match"#);
    assert_snapshot!(refusal(on("443", "*", "", ""), on("443", "*", "", "")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match port 443, domain *: give one a higher priority or a narrower match"#);
    accepts(on("443", "*.a.com", "", ""), on("443", "*.b.a.com", "", ""));
    accepts(on("443", "*.a.com", "", ""), on("443", "a.com", "", ""));
}

#[test]
fn networks_collide_when_both_name_the_same_one() {
    assert_snapshot!(refusal(on("443", "a.com", "10.0.0.0/8", ""), on("443", "a.com", "::ffff:10.0.0.0/104", "")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match port 443, domain a.com, client 10.0.0.0/8: give one a higher priority or a narrower match"#);
    accepts(on("443", "", "10.0.0.0/8", ""), on("443", "", "10.0.0.0/9", ""));
    accepts(on("443", "", "0.0.0.0/0", ""), on("443", "", "::/0", ""));
    accepts(on("443", "", "0.0.0.0/0 ::/0", ""), on("443", "", "", ""));
}

#[test]
fn networks_do_not_collide_where_longer_ones_tell_the_routes_apart() {
    accepts(on("443", "", "10.0.0.0/8 10.0.0.0/9", ""), on("443", "", "10.0.0.0/8 10.128.0.0/9", ""));
    assert_snapshot!(refusal(on("443", "", "10.0.0.0/8 10.0.0.0/9", ""), on("443", "", "10.0.0.0/8 10.128.0.0/10", "")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match port 443, client 10.0.0.0/8: give one a higher priority or a narrower match"#);
}

#[test]
fn protocols_collide_when_both_name_the_same_one() {
    assert_snapshot!(refusal(on("443", "", "", "h2 http/1.1"), on("443", "", "", "x http/1.1")), @r#"routes "a" and "b" can not be told apart: with priority 0, both match port 443, ALPN http/1.1: give one a higher priority or a narrower match"#);
    accepts(on("443", "", "", "h2"), on("443", "", "", "http/1.1"));
    accepts(on("443", "", "", "h2"), on("443", "", "", ""));
}

#[test]
fn another_priority_or_a_disabled_route_resolves_it() {
    let a = route("a", on("443", "", "", ""));
    let b = route("b", on("443", "", "", ""));
    assert!(build([a.clone(), b.clone().priority(1)]).is_ok());
    assert!(build([a.clone(), b.clone().priority(-1)]).is_ok());
    assert!(build([a, b.enabled(false)]).is_ok());
}

#[test]
fn repetitions_within_a_route_are_no_collision() {
    let twice = on("443 443 440-450 451", "a.com A.com.", "10.0.0.0/8 ::ffff:10.0.0.0/104", "h2 h2");
    assert!(build([route("a", twice)]).is_ok());
}

#[test]
fn all_problems_are_reported_at_once_with_their_routes() {
    let errors = build([
        route("a", on("443", "", "", "")),
        route("a", on("80", "", "", "")).enabled(false),
        route("b", on("", "b.com", "", "")),
        route("c", on("440-450", "", "", "")),
        route("d", on("450", "", "", "")),
        route("a", on("", "", "", "")).enabled(false),
    ])
    .unwrap_err();
    assert_snapshot!(errors, @r#"
    the name "a" is used by two routes: give one of them another name
    route "b" has no ports: name at least one, such as ports = [443]
    the name "a" is used by two routes: give one of them another name
    route "a" has no ports: name at least one, such as ports = [443]
    routes "a" and "c" can not be told apart: with priority 0, both match port 443: give one a higher priority or a narrower match
    routes "c" and "d" can not be told apart: with priority 0, both match port 450: give one a higher priority or a narrower match
    "#);
    let routes: Vec<&[usize]> = errors.iter().map(BuildError::routes).collect();
    assert_eq!(routes, [&[0, 1][..], &[2], &[0, 5], &[5], &[0, 3], &[3, 4]]);
    let collisions: Vec<bool> = errors.iter().map(|error| error.collision().is_some()).collect();
    assert_eq!(collisions, [false, false, false, false, true, true]);
}

#[test]
fn a_collision_tells_its_part_of_the_match() {
    let errors = refusal(on("443", "a.com", "::1", "h2"), on("443", "a.com", "::1", "h2"));
    let collision = errors.iter().next().unwrap().collision().unwrap().clone();
    assert_eq!(Ok(collision.ports), "443".parse());
    assert_eq!(collision.domain, "a.com".parse().ok());
    assert_eq!(collision.client, "::1".parse().ok());
    assert_eq!(collision.alpn, "h2".parse().ok());
}

#[test]
fn a_thousand_copies_are_not_half_a_million_errors() {
    let copies = (0..1000).map(|nth| route(&format!("r{nth}"), on("443", "a.com", "", "")));
    let errors = build(copies).unwrap_err().into_iter().count();
    assert!((999..10_000).contains(&errors), "{errors}");
}
