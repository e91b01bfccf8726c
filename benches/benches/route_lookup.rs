//! Route lookup: what a connection pays for its route in tables of 10, 1 000 and 100 000 routes.
//!
//! Of ten routes one is a wildcard and one a client network; the others are exact names. All have the same priority,
//! as most tables do.

use std::hint::black_box;

use benches::samples::{client, table};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxy_route::Query;

const SIZES: [u32; 3] = [10, 1_000, 100_000];

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
