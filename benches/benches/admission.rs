//! Admission: what a connection pays for its permits, alone and with a second thread that does the same.
//!
//! One iteration admits one connection and gives its permits back. In the tables of clients 1 000, 100 000 or 1 000 000
//! others have a connection open; the one that comes is one of them, in an order that no cache foresees.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use benches::beside;
use benches::samples::client;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, AddressPermit, Limit, QueueLimits};
use proxy_core::Bound;
use tokio::time::Instant;

const CLIENTS: [u32; 3] = [1_000, 100_000, 1_000_000];

fn limit(c: &mut Criterion) {
    let mut group = c.benchmark_group("limit");
    for threads in [1, 2] {
        let limit = Limit::new(1_000_000);
        let round = |_| drop(black_box(limit.acquire()));
        beside(threads - 1, round, |round| {
            group.bench_function(BenchmarkId::new("acquire_drop", threads), |b| b.iter(round));
        });
    }
    let (limit, queue) = (Limit::new(1), QueueLimits::new(9, Bound::secs(9)));
    group.bench_function("acquire_or_wait_drop/free", |b| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        b.iter(|| {
            let waiting = std::pin::pin!(limit.acquire_or_wait(&queue));
            drop(black_box(waiting.poll(&mut context)));
        });
    });
    group.finish();
}

#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
fn with_clients(live: u32, now: Instant) -> (AddressLimits, Vec<AddressPermit>) {
    let limits = AddressLimits::new(
        AddressLimitsOptions::default()
            .connections_per_client_per_minute(NonZeroU32::MAX)
            .client_table_capacity(NonZeroU32::new(2_000_000).expect("not zero")),
    );
    let held = (0..live).map(|nth| limits.admit(client(nth), now).expect("within the limits")).collect();
    (limits, held)
}

fn clients(c: &mut Criterion) {
    for live in CLIENTS {
        let now = Instant::now();
        let (limits, held) = with_clients(live, now);
        for (case, first) in [("known", 0), ("new", 0x0080_0000)] {
            let mut group = c.benchmark_group(format!("clients_{case}"));
            for threads in [1, 2] {
                let nexts = [0, 1].map(|_| std::sync::atomic::AtomicU32::new(0));
                let round = |thread: usize| {
                    // A stride that is prime to every size, from another place for each thread.
                    let next = nexts.get(thread).map_or(0, |next| next.fetch_add(1, Ordering::Relaxed));
                    let nth = next.wrapping_mul(387_413).wrapping_add(u32::from(thread > 0) * 77_777) % live;
                    drop(black_box(limits.admit(client(first + nth), now)));
                };
                beside(threads - 1, round, |round| {
                    group.bench_function(BenchmarkId::new(live.to_string(), threads), |b| b.iter(round));
                });
            }
            group.finish();
        }
        drop(held);
    }
}

criterion_group!(benches, limit, clients);
criterion_main!(benches);
