//! The PROXY protocol: reading a header, and writing one.

use std::hint::black_box;

use benches::samples;
use criterion::{Criterion, criterion_group, criterion_main};
use proxy_core::header::{HeaderLimits, Outgoing, decode, encode_v1, encode_v2};

/// By name, the headers that are written.
fn headers() -> [(&'static str, Outgoing); 3] {
    let plain = samples::outgoing();
    let mut tlvs = samples::outgoing();
    tlvs.tlvs.authority = Some(b"www.example.com".to_vec());
    tlvs.tlvs.unique_id = Some(vec![7; 32]);
    let checked = Outgoing { crc32c: true, ..tlvs.clone() };
    [("v2", plain), ("v2_two_tlvs", tlvs), ("v2_two_tlvs_crc32c", checked)]
}

#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("header_parse");
    let limits = HeaderLimits::default();
    let written = headers().map(|(name, header)| (name, encode_v2(&header).expect("it can be written")));
    let v1 = ("v1", encode_v1(&samples::outgoing().endpoints));
    for (name, bytes) in written.into_iter().chain([v1]) {
        assert_eq!(
            decode(&bytes, &limits).expect("it is right").map(|decoded| decoded.len),
            Some(bytes.len())
        );
        group.bench_function(name, |b| b.iter(|| decode(black_box(&bytes), &limits)));
    }
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("header_write");
    for (name, header) in headers() {
        group.bench_function(name, |b| b.iter(|| encode_v2(black_box(&header))));
    }
    let endpoints = samples::outgoing().endpoints;
    group.bench_function("v1", |b| b.iter(|| encode_v1(black_box(&endpoints))));
    group.finish();
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
