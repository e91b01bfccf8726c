//! What wins, one rule a test.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::net::IpAddr;

use proxy_route::{Match, Query, RouteSpec, RouteTable};

/// A match written as a config would: ports, domains, clients, ALPN, each list separated by spaces.
fn on(ports: &str, domains: &str, clients: &str, alpn: &str) -> Match {
    Match::on(ports.split_whitespace().map(|text| text.parse().unwrap()))
        .domains(domains.split_whitespace().map(|text| text.parse().unwrap()))
        .clients(clients.split_whitespace().map(|text| text.parse().unwrap()))
        .alpn(alpn.split_whitespace().map(|text| text.parse().unwrap()))
}

fn route(name: &str, matches: Match) -> RouteSpec {
    RouteSpec::new(name, matches)
}

fn table(routes: impl IntoIterator<Item = RouteSpec>) -> RouteTable<()> {
    RouteTable::build(routes.into_iter().map(|spec| (spec, ()))).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The name of the route that wins, or `-`.
fn winner<'t, A: AsRef<[u8]>>(table: &'t RouteTable<()>, query: &Query<'_, A>) -> &'t str {
    table.lookup(query).map_or("-", |matched| matched.name())
}

fn by_name<'t>(table: &'t RouteTable<()>, name: &str) -> &'t str {
    winner(table, &Query::on(443).name(name))
}

fn by_client<'t>(table: &'t RouteTable<()>, client: &str) -> &'t str {
    winner(table, &Query::on(443).client(ip(client)))
}

#[test]
fn an_empty_table_matches_nothing() {
    let table = RouteTable::<()>::default();
    assert!(table.is_empty() && table.lookup(&Query::on(443)).is_none());
    assert!(!table.listens_on(443) && !table.needs_hello(443) && table.ports().next().is_none());
}

#[test]
fn the_answer_carries_index_spec_and_payload() {
    let routes =
        [(route("off", on("1", "", "", "")).enabled(false), 7), (route("a", on("443", "", "", "")), 8)];
    let table = RouteTable::build(routes).unwrap();
    let matched = table.lookup(&Query::on(443)).unwrap();
    assert_eq!((matched.index, matched.name(), *matched.payload), (1, "a", 8));
    assert_eq!(table.routes().map(|route| route.name()).collect::<Vec<_>>(), ["off", "a"]);
    assert_eq!(table.len(), 2);
}

#[test]
fn ports_match_to_both_ends_of_a_range() {
    let table = table([route("a", on("80-90 443", "", "", ""))]);
    for port in [80, 90, 443] {
        assert_eq!(winner(&table, &Query::on(port)), "a");
    }
    for port in [0, 79, 91, 442, 444] {
        assert_eq!(winner(&table, &Query::on(port)), "-");
    }
}

#[test]
fn wildcard_matches_any_depth_but_not_its_own_apex() {
    let table = table([route("wild", on("443", "*.a.com", "", ""))]);
    assert_eq!(by_name(&table, "x.a.com"), "wild");
    assert_eq!(by_name(&table, "z.y.x.a.com"), "wild");
    assert_eq!(by_name(&table, "a.com"), "-");
    assert_eq!(by_name(&table, "xa.com"), "-");
    assert_eq!(by_name(&table, "a.com.evil"), "-");
}

#[test]
fn exact_beats_longer_wildcard_beats_shorter_beats_any_beats_none() {
    let routes = [
        route("none", on("443", "", "", "")),
        route("any", on("443", "*", "", "")),
        route("short", on("443", "*.com", "", "")),
        route("long", on("443", "*.a.com", "", "")),
        route("exact", on("443", "x.a.com", "", "")),
    ];
    let forward = table(routes.clone());
    let backward = table(routes.into_iter().rev());
    for table in [&forward, &backward] {
        assert_eq!(by_name(table, "x.a.com"), "exact");
        assert_eq!(by_name(table, "y.a.com"), "long");
        assert_eq!(by_name(table, "a.com"), "short");
        assert_eq!(by_name(table, "com"), "any");
        assert_eq!(winner(table, &Query::on(443)), "none");
    }
}

#[test]
fn a_route_with_domains_never_matches_without_a_name() {
    let table = table([route("any", on("443", "*", "", ""))]);
    assert_eq!(winner(&table, &Query::on(443)), "-");
    assert_eq!(by_name(&table, ""), "-");
    assert_eq!(by_name(&table, "."), "-");
    assert_eq!(by_name(&table, "x"), "any");
}

#[test]
fn trailing_dot_and_case_are_ignored() {
    let table =
        table([route("exact", on("443", "API.a.com.", "", "")), route("wild", on("443", "*.B.com", "", ""))]);
    for name in ["api.a.com", "api.a.com.", "Api.A.COM", "API.A.COM."] {
        assert_eq!(by_name(&table, name), "exact");
    }
    assert_eq!(by_name(&table, "X.b.COM."), "wild");
    assert_eq!(by_name(&table, "api.a.com.."), "-");
}

#[test]
fn names_that_no_pattern_could_have_do_no_harm() {
    let table = table([route("wild", on("443", "*.a.com", "", "")), route("any", on("443", "*", "", ""))]);
    let deep = format!("{}a.com", "x.".repeat(5000));
    assert_eq!(by_name(&table, &deep), "wild");
    assert_eq!(by_name(&table, &"x.".repeat(5000)), "any");
    assert_eq!(by_name(&table, "bücher.a.com"), "wild");
    assert_eq!(by_name(&table, "..."), "any");
    assert_eq!(by_name(&table, "10.0.0.1"), "any");
}

#[test]
fn priority_beats_specificity() {
    let table = table([
        route("exact", on("443", "x.a.com", "10.0.0.1", "h2")),
        route("wild", on("443", "*.a.com", "", "")).priority(1),
        route("none", on("443", "", "", "")).priority(-1),
    ]);
    let query = Query::on(443).name("x.a.com").client(ip("10.0.0.1")).alpn(&["h2"]);
    assert_eq!(winner(&table, &query), "wild");
    assert_eq!(winner(&table, &query.name("a.com")), "none");
}

#[test]
fn domain_specificity_beats_a_longer_network() {
    let table =
        table([route("name", on("443", "*.a.com", "", "")), route("net", on("443", "", "10.0.0.1", ""))]);
    assert_eq!(winner(&table, &Query::on(443).name("x.a.com").client(ip("10.0.0.1"))), "name");
    assert_eq!(winner(&table, &Query::on(443).name("x.b.com").client(ip("10.0.0.1"))), "net");
}

#[test]
fn a_longer_network_beats_a_shorter_one_beats_none() {
    let table = table([
        route("none", on("443", "", "", "")),
        route("all", on("443", "", "0.0.0.0/0 ::/0", "")),
        route("short", on("443", "", "10.0.0.0/8 2001:db8::/32", "")),
        route("long", on("443", "", "10.1.0.0/16 2001:db8:1::/48", "")),
        route("one", on("443", "", "10.1.0.1 2001:db8:1::1", "")),
    ]);
    for (v4, v6, expected) in [
        ("10.1.0.1", "2001:db8:1::1", "one"),
        ("10.1.0.2", "2001:db8:1::2", "long"),
        ("10.2.0.1", "2001:db8:2::1", "short"),
        ("11.0.0.1", "2001:db9::1", "all"),
    ] {
        assert_eq!(by_client(&table, v4), expected);
        assert_eq!(by_client(&table, v6), expected);
    }
    assert_eq!(winner(&table, &Query::on(443)), "none");
}

#[test]
fn unknown_client_never_passes_an_allow_list() {
    let table = table([route("all", on("443", "", "0.0.0.0/0 ::/0", "")).priority(9)]);
    assert_eq!(winner(&table, &Query::on(443)), "-");
    assert_eq!(by_client(&table, "192.0.2.1"), "all");
    assert_eq!(by_client(&table, "::1"), "all");
}

#[test]
fn v4_mapped_client_is_canonical() {
    let v4 = table([route("v4", on("443", "", "10.0.0.0/8", ""))]);
    assert_eq!(by_client(&v4, "::ffff:10.0.0.1"), "v4");
    assert_eq!(by_client(&v4, "::ffff:11.0.0.1"), "-");
    let mapped = table([route("mapped", on("443", "", "::ffff:10.0.0.0/104", ""))]);
    assert_eq!(by_client(&mapped, "10.0.0.1"), "mapped");
    let v6 = table([route("v6", on("443", "", "::/0", ""))]);
    assert_eq!(by_client(&v6, "::ffff:10.0.0.1"), "-");
}

#[test]
fn alpn_matches_any_protocol_offered_and_beats_no_restriction() {
    let table = table([
        route("rest", on("443", "", "", "")),
        route("http", on("443", "", "", "h2 http/1.1")),
        route("acme", on("443", "", "", "acme-tls/1")),
    ]);
    let query = Query::on(443);
    assert_eq!(winner(&table, &query.alpn(&["spdy/3", "http/1.1"])), "http");
    assert_eq!(winner(&table, &query.alpn(&["acme-tls/1"])), "acme");
    assert_eq!(winner(&table, &query.alpn(&["H2"])), "rest");
    assert_eq!(winner(&table, &query), "rest");
}

#[test]
fn of_two_protocols_the_one_offered_first_decides() {
    let table = table([route("h2", on("443", "", "", "h2")), route("h1", on("443", "", "", "http/1.1"))]);
    assert_eq!(winner(&table, &Query::on(443).alpn(&["h2", "http/1.1"])), "h2");
    assert_eq!(winner(&table, &Query::on(443).alpn(&["http/1.1", "h2"])), "h1");
    assert_eq!(winner(&table, &Query::on(443).alpn(&["x", "h2", "http/1.1"])), "h2");
}

#[test]
fn a_longer_network_beats_an_alpn_restriction() {
    let table =
        table([route("net", on("443", "", "10.0.0.0/8", "")), route("alpn", on("443", "", "", "h2"))]);
    assert_eq!(winner(&table, &Query::on(443).client(ip("10.0.0.1")).alpn(&["h2"])), "net");
}

#[test]
fn a_disabled_route_takes_nothing_and_opens_nothing() {
    let table = table([
        route("off", on("443 80", "a.com", "", "")).priority(9).enabled(false),
        route("on", on("443", "", "", "")),
    ]);
    assert_eq!(by_name(&table, "a.com"), "on");
    assert_eq!(table.ports().collect::<Vec<_>>(), [443..=443]);
    assert!(!table.needs_hello(443) && !table.listens_on(80));
}

#[test]
fn listening_ports_are_merged_and_sorted() {
    let table = table([
        route("a", on("8005-8010 443", "", "", "")),
        route("b", on("8000-8006", "x.com", "", "")),
        route("c", on("8011", "", "", "h2")),
        route("d", on("65535 1", "", "10.0.0.0/8", "")),
    ]);
    assert_eq!(table.ports().collect::<Vec<_>>(), [1..=1, 443..=443, 8000..=8011, 65_535..=65_535]);
    assert!(
        table.listens_on(8000)
            && table.listens_on(8011)
            && !table.listens_on(7999)
            && !table.listens_on(8012)
    );
}

#[test]
fn a_hello_is_needed_only_where_a_route_asks_for_name_or_protocol() {
    let table = table([
        route("plain", on("25 443 8443", "", "10.0.0.0/8", "")),
        route("name", on("443", "a.com", "", "")),
        route("alpn", on("8443", "", "", "h2")),
    ]);
    assert!(table.needs_hello(443) && table.needs_hello(8443));
    assert!(!table.needs_hello(25) && !table.needs_hello(80));
}

#[test]
fn a_route_under_a_higher_priority_is_shadowed() {
    let table = table([
        route("wall", on("1-65535", "", "", "")).priority(9),
        route("dead", on("443 8000-8010", "*.a.com", "10.0.0.0/8", "h2")),
        route("twin", on("443", "b.com", "", "")),
        route("off", on("443", "c.com", "", "")).enabled(false),
    ]);
    let shadowed: Vec<String> = table.shadowed().iter().map(ToString::to_string).collect();
    assert_eq!(
        shadowed,
        [
            "route \"dead\" never matches: route \"wall\" takes its connections first",
            "route \"twin\" never matches: route \"wall\" takes its connections first",
        ]
    );
}

#[test]
fn a_route_with_one_gap_left_is_not_shadowed() {
    let wall = |name: &str, ports: &str| route(name, on(ports, "*", "", "")).priority(9);
    let by_two =
        table([wall("low", "1-442"), wall("high", "443-65535"), route("a", on("80-500", "a.com", "", ""))]);
    assert_eq!(by_two.shadowed().iter().map(|s| (s.winner, s.loser)).collect::<Vec<_>>(), [(0, 2), (1, 2)]);
    let gap =
        table([wall("low", "1-442"), wall("high", "444-65535"), route("a", on("80-500", "a.com", "", ""))]);
    assert_eq!(gap.shadowed(), []);
    let nameless = table([wall("all", "1-65535"), route("a", on("443", "", "", ""))]);
    assert_eq!(nameless.shadowed(), []);
}

#[test]
fn a_table_crosses_threads() {
    fn crosses<T: Send + Sync + Clone + 'static>(_: &T) {}
    crosses(&table([route("a", on("443", "", "", ""))]));
}
