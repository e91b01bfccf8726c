//! The ClientHello: found in the first bytes of a stream, in one piece, in segments, and byte by byte; and how soon
//! something else is refused.

use std::hint::black_box;

use benches::samples;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proxy_core::hello::{HelloReader, Progress};

/// Reads `stream` in pieces of `size`.
fn read(stream: &[u8], size: usize) -> Progress {
    let mut reader = HelloReader::default();
    let mut last = Progress::More;
    for end in (size..stream.len()).step_by(size).chain([stream.len()]) {
        last = reader.look(stream.get(..end).unwrap_or(stream));
    }
    last
}

fn parse(c: &mut Criterion) {
    let stream = samples::hello();
    let mut group = c.benchmark_group("hello_parse");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for size in [stream.len(), 100, 1] {
        assert!(matches!(read(&stream, size), Progress::Hello(hello) if hello.server_name.is_some()));
        group.bench_with_input(BenchmarkId::new("pieces_of", size), &size, |b, size| {
            b.iter(|| read(black_box(&stream), *size));
        });
    }
    group.finish();
    c.bench_function("hello_refused", |b| b.iter(|| read(black_box(b"GET / HTTP/1.1\r\n"), 16)));
}

criterion_group!(benches, parse);
criterion_main!(benches);
