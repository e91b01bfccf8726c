//! Route lookup: what a connection pays for its route in tables of 10, 1 000 and 100 000 routes.
//!
//! Of ten routes one is a wildcard and one a client network; the others are exact names. All have the same priority,
//! as most tables do.

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxy_route::{ClientNet, Match, PortRange, Query, RouteSpec, RouteTable};

const SIZES: [u32; 3] = [10, 1_000, 100_000];

/// The `nth` route of a table.
fn spec(nth: u32) -> RouteSpec {
    let on_443 = Match::on(PortRange::try_from(443));
    let matches = match nth % 10 {
        8 => on_443.clients([ClientNet::from(client(nth))]),
        9 => on_443.domains(format!("*.tenant{nth}.example.net").parse()),
        _ => on_443.domains(format!("host{nth}.example.com").parse()),
    };
    RouteSpec::new(format!("route{nth}"), matches)
}

fn client(nth: u32) -> std::net::IpAddr {
    Ipv4Addr::from(0x0A00_0000 + nth).into()
}

#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
fn table(size: u32) -> RouteTable<u32> {
    RouteTable::build((0..size).map(|nth| (spec(nth), nth))).expect("all routes differ")
}

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("route_lookup");
    for size in SIZES {
        let table = table(size);
        // The last wildcard of the table, and names and a client from the middle.
        let (middle, last) = (size / 20 * 10, size - 1);
        let exact = format!("host{middle}.example.com");
        let capitals = format!("Host{middle}.Example.com");
        let wildcard = format!("a.b.tenant{last}.example.net");
        let outside = client(u32::MAX >> 8);
        let cases = [
            ("exact", Query::on(443).name(&exact).client(outside), true),
            ("exact_capitals", Query::on(443).name(&capitals).client(outside), true),
            ("wildcard", Query::on(443).name(&wildcard).client(outside), true),
            ("network", Query::on(443).name("no.such.name.example").client(client(middle + 8)), true),
            ("none", Query::on(443).name("no.such.name.example").client(outside), false),
        ];
        for (case, query, hit) in cases {
            assert_eq!(table.lookup(&query).is_some(), hit, "{case}");
            group.bench_with_input(BenchmarkId::new(case, size), &query, |b, query| {
                b.iter(|| table.lookup(black_box(query)).map(|matched| matched.index));
            });
        }
    }
    group.finish();
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("route_build");
    group.sample_size(10);
    for size in SIZES {
        group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| table(black_box(size)).len()));
    }
    group.finish();
}

criterion_group!(benches, lookup, build);
criterion_main!(benches);
