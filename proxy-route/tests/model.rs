//! The table against a model that walks the list of routes and computes ranks, over a small world in which every
//! kind of query can be tried: few labels, few networks, few ports, so that routes meet all the time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxy_route::{Match, Query, RouteSpec, RouteTable};

const PORTS: &[&str] = &["1", "2", "3", "1-2", "2-3", "1-3"];
const DOMAINS: &[&str] = &["a", "b", "a.b", "b.b", "*.a", "*.b", "*.a.b", "*.b.b", "*"];
const NETS: &[&str] = &[
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.128.0.0/9",
    "10.0.0.1",
    "::/0",
    "2001:db8::/32",
];
const ALPN: &[&str] = &["x", "y"];

// Each pattern above has in these lists a query that it matches and no longer pattern does.
const NAMES: &[&str] = &["a", "b", "a.b", "b.b", "z", "z.a", "z.b", "z.a.b", "Z.B.b.", "a.z.b.b", "z.z"];
const CLIENTS: &[&str] =
    &["10.0.0.1", "10.0.0.2", "10.128.0.1", "11.0.0.1", "192.0.2.1", "::1", "2001:db8::1", "::ffff:10.0.0.2"];
const OFFERS: &[&[&str]] = &[&[], &["x"], &["y"], &["x", "y"], &["y", "z", "x"]];

/// Compared field by field: priority, domain, client, ALPN.
type Rank = (i32, (u8, usize), Option<u8>, Option<Reverse<usize>>);

/// The rank of a route for a query, by the definition and nothing else.
fn rank(spec: &RouteSpec, query: &Query<'_, &str>) -> Option<Rank> {
    let matches = &spec.matches;
    if !spec.enabled || !matches.ports.iter().any(|ports| ports.contains(query.port)) {
        return None;
    }
    Some((
        spec.priority,
        domain_rank(spec, query.server_name)?,
        client_rank(spec, query.client)?,
        alpn_rank(spec, query)?,
    ))
}

fn domain_rank(spec: &RouteSpec, name: Option<&str>) -> Option<(u8, usize)> {
    if spec.matches.domains.is_empty() {
        return Some((0, 0));
    }
    let name = name?.to_lowercase();
    let name = name.trim_end_matches('.');
    let of = |pattern: &str| match pattern.strip_prefix("*.") {
        _ if pattern == "*" => Some((1, 0)),
        Some(parent) => name.ends_with(&format!(".{parent}")).then(|| (2, parent.split('.').count())),
        None => (pattern == name).then_some((3, 0)),
    };
    spec.matches.domains.iter().filter_map(|pattern| of(&pattern.to_string())).max()
}

fn client_rank(spec: &RouteSpec, client: Option<IpAddr>) -> Option<Option<u8>> {
    if spec.matches.clients.is_empty() {
        return Some(None);
    }
    let client = client?.to_canonical();
    let nets = spec.matches.clients.iter().map(|net| net.net());
    nets.filter(|net| net.contains(&client)).map(|net| net.prefix_len()).max().map(Some)
}

fn alpn_rank(spec: &RouteSpec, query: &Query<'_, &str>) -> Option<Option<Reverse<usize>>> {
    if spec.matches.alpn.is_empty() {
        return Some(None);
    }
    let listed = |offered: &&str| spec.matches.alpn.iter().any(|alpn| alpn.as_str() == *offered);
    query.alpn.iter().position(listed).map(|at| Some(Reverse(at)))
}

fn queries() -> Vec<Query<'static, &'static str>> {
    let names = NAMES.iter().copied().map(Some).chain([None]);
    let mut queries = Vec::new();
    for server_name in names {
        for client in CLIENTS.iter().map(|text| text.parse().ok()).chain([None]) {
            for alpn in OFFERS {
                queries.extend((0..=4).map(|port| Query { port, server_name, client, alpn }));
            }
        }
    }
    queries
}

/// What the routes of one case choose from. Narrow pools make routes meet in one dimension while they differ in
/// another, which whole pools hardly ever do.
#[derive(Debug, Clone, Copy)]
struct Pools {
    ports: &'static [&'static str],
    domains: &'static [&'static str],
    nets: &'static [&'static str],
    alpn: &'static [&'static str],
}

fn pools() -> impl Strategy<Value = Pools> {
    let ports = select(vec![PORTS, &["1"], &["1-2", "2-3"]]);
    let domains = select(vec![DOMAINS, &[], &["*.a", "a.b"], &["*", "*.b", "*.b.b"]]);
    let nets = select(vec![
        NETS,
        &[],
        &["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"],
        &["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"],
    ]);
    let alpn = select(vec![ALPN, &[]]);
    (ports, domains, nets, alpn).prop_map(|(ports, domains, nets, alpn)| Pools { ports, domains, nets, alpn })
}

fn some_of(pool: &'static [&'static str]) -> BoxedStrategy<Vec<&'static str>> {
    if pool.is_empty() {
        return Just(Vec::new()).boxed();
    }
    prop_oneof![1 => Just(Vec::new()), 3 => subsequence(pool, 1..=pool.len().min(4))].boxed()
}

fn spec(pools: Pools) -> impl Strategy<Value = RouteSpec> {
    let ports = prop::collection::vec(select(pools.ports), 1..3);
    let lists = (ports, some_of(pools.domains), some_of(pools.nets), some_of(pools.alpn));
    (lists, -1..2, prop::bool::weighted(0.9)).prop_map(|((ports, domains, nets, alpn), priority, enabled)| {
        let matches = Match::on(ports.iter().map(|text| text.parse().unwrap()))
            .domains(domains.iter().map(|text| text.parse().unwrap()))
            .clients(nets.iter().map(|text| text.parse().unwrap()))
            .alpn(alpn.iter().map(|text| text.parse().unwrap()));
        RouteSpec::new("", matches).priority(priority).enabled(enabled)
    })
}

fn specs(most: usize) -> impl Strategy<Value = Vec<RouteSpec>> {
    let specs = pools().prop_flat_map(move |pools| prop::collection::vec(spec(pools), 0..=most));
    specs.prop_map(|mut specs| {
        for (nth, spec) in specs.iter_mut().enumerate() {
            spec.name = format!("r{nth}").into();
        }
        specs
    })
}

/// The routes of the best rank; more than one is a tie at the top.
fn best(specs: &[RouteSpec], query: &Query<'_, &str>) -> Vec<usize> {
    let ranks: Vec<(usize, Rank)> =
        specs.iter().enumerate().filter_map(|(at, spec)| rank(spec, query).map(|rank| (at, rank))).collect();
    let top = ranks.iter().map(|(_, rank)| *rank).max();
    ranks.iter().filter(|(_, rank)| Some(*rank) == top).map(|(at, _)| *at).collect()
}

fn build(specs: &[RouteSpec]) -> Result<RouteTable<()>, proxy_route::BuildErrors> {
    RouteTable::build(specs.iter().cloned().map(|spec| (spec, ())))
}

/// Every query of the world against a valid table.
fn assert_agrees(table: &RouteTable<()>, specs: &[RouteSpec]) -> Result<(), TestCaseError> {
    let mut winners = BTreeSet::new();
    for query in queries() {
        let found: Vec<usize> = table.lookup(&query).map(|matched| matched.index).into_iter().collect();
        prop_assert_eq!(&found, &best(specs, &query), "{:?}", query);
        winners.extend(found);
    }
    for shadowed in table.shadowed() {
        prop_assert!(!winners.contains(&shadowed.loser), "{} is alive", shadowed.loser_name);
        prop_assert!(specs[shadowed.winner].priority >= specs[shadowed.loser].priority);
    }
    for port in 0..=4 {
        let mut here = specs.iter().filter(|s| s.enabled && s.matches.ports.iter().any(|p| p.contains(port)));
        prop_assert_eq!(table.needs_hello(port), here.clone().any(|spec| spec.matches.needs_hello()));
        prop_assert_eq!(table.listens_on(port), here.next().is_some());
        prop_assert_eq!(table.listens_on(port), table.ports().any(|range| range.contains(&port)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    /// Priorities all differ, so any list is valid and the table is large.
    #[test]
    fn lookup_equals_a_walk_over_the_list(mut specs in specs(12), seed in any::<u8>()) {
        for (spec, nth) in specs.iter_mut().zip(0..) {
            spec.priority = (nth * 5 + i32::from(seed)) % 13;
        }
        let table = build(&specs).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        assert_agrees(&table, &specs)?;
    }

    /// Few priorities: specificity decides, or nothing does.
    #[test]
    fn a_table_is_refused_exactly_if_two_ranks_are_equal(specs in specs(4)) {
        let queries = queries();
        let equal = |a: &RouteSpec, b: &RouteSpec| {
            queries.iter().any(|query| rank(a, query).is_some_and(|rank_a| Some(rank_a) == rank(b, query)))
        };
        let mut pairs = BTreeSet::new();
        for (b, second) in specs.iter().enumerate() {
            pairs.extend((0..b).filter(|a| equal(&specs[*a], second)).map(|a| vec![a, b]));
        }
        match build(&specs) {
            Ok(table) => {
                prop_assert!(pairs.is_empty(), "{:?} are equal", pairs);
                assert_agrees(&table, &specs)?;
            }
            Err(errors) => {
                let found: BTreeSet<Vec<usize>> = errors.iter().map(|error| error.routes().to_vec()).collect();
                prop_assert_eq!(found, pairs);
            }
        }
    }

    /// The order of the list never matters.
    #[test]
    fn a_reversed_list_answers_alike(specs in specs(4)) {
        let reversed: Vec<RouteSpec> = specs.iter().rev().cloned().collect();
        match (build(&specs), build(&reversed)) {
            (Ok(table), Ok(mirror)) => {
                for query in queries() {
                    let names = [&table, &mirror].map(|t| t.lookup(&query).map(|matched| matched.name()));
                    prop_assert_eq!(names[0], names[1], "{:?}", query);
                }
            }
            (Err(errors), Err(mirrored)) => prop_assert_eq!(errors.iter().count(), mirrored.iter().count()),
            (one, other) => prop_assert!(false, "only one is refused: {:?} {:?}", one.is_ok(), other.is_ok()),
        }
    }
}
