//! The tracker: what it costs to open an entry and to close it with every limit on, alone and beside a second worker that
//! does the same, and what it costs to look at all entries.
//!
//! One iteration takes a permit of the process, of the pool, of the route and of the client, opens an entry, and gives
//! all of them back. 1 000, 100 000 or 1 000 000 other connections are open meanwhile. Their clients are 10 000, or as
//! many as the connections: then each one's count is a miss in every cache, and that is what the difference shows.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use benches::{beside, samples};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, AddressPermit, Limit, Permit};
use proxy_conn::{ConnGuard, Opening, Tracker};
use proxy_core::PeerAddr;
use proxy_core::relay::{Meter as _, Side};
use tokio::time::Instant;

const WORKERS: usize = 2;

/// The table of a process, with its limits.
struct Process {
    tracker: Arc<Tracker>,
    /// Of the process, its pool, its route.
    limits: [Limit; 3],
    addresses: AddressLimits,
    /// Each worker has its own listener, as each has its own socket.
    listeners: [Arc<str>; WORKERS],
    clients: u32,
    /// How many connections each worker has had.
    had: [Padded; WORKERS],
}

#[derive(Default)]
#[repr(align(128))]
struct Padded(AtomicU32);

/// All that a connection holds. Dropped in this order.
type Held = ([Option<Permit>; 3], AddressPermit, ConnGuard);

impl Process {
    #[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
    fn new(clients: u32) -> Self {
        let addresses = AddressLimits::new(
            AddressLimitsOptions::default()
                .connections_per_client(NonZeroU32::MAX)
                .connections_per_client_per_minute(NonZeroU32::MAX)
                .client_table_capacity(NonZeroU32::new(2_000_000).expect("not zero")),
        );
        Self {
            tracker: Tracker::new(WORKERS, ()),
            limits: [2_000_000; 3].map(Limit::new),
            addresses,
            listeners: ["bench/0".into(), "bench/1".into()],
            clients,
            had: Default::default(),
        }
    }

    /// Opens the `nth` connection, on `worker`.
    #[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench has nobody to report to")]
    fn open(&self, worker: usize, nth: u32) -> Held {
        let ip = samples::client(nth % self.clients);
        let opening = Opening::new(PeerAddr::new((ip, 4000).into()), Arc::clone(&self.listeners[worker]));
        let guard = self.tracker.open(worker, opening);
        let permits = [0, 1, 2].map(|n: usize| self.limits[n].acquire());
        let permit = self.addresses.admit(ip, guard.opened()).expect("within the limits");
        (permits, permit, guard)
    }

    /// The next one of `worker`, in an order that no cache foresees.
    fn next(&self, worker: usize) -> Held {
        let had = self.had.get(worker).map_or(0, |had| had.0.fetch_add(1, Ordering::Relaxed));
        let start = u32::from(worker > 0) * 77_777;
        self.open(worker, had.wrapping_mul(387_413).wrapping_add(start))
    }

    fn with(clients: u32, live: u32) -> (Self, Vec<Held>) {
        let process = Self::new(clients);
        let held = (0..live).map(|nth| process.open(usize::from(nth % 2 == 1), nth)).collect();
        (process, held)
    }
}

fn open_close(c: &mut Criterion) {
    for (live, clients) in
        [(1_000, 1_000), (100_000, 10_000), (100_000, 100_000), (1_000_000, 10_000), (1_000_000, 1_000_000)]
    {
        let (process, held) = Process::with(clients, live);
        let mut group = c.benchmark_group(format!("open_close/{live}_live_of_{clients}_clients"));
        for threads in 1..=WORKERS {
            let round = |thread| drop(black_box(process.next(thread)));
            beside(threads - 1, round, |round| {
                group.bench_function(BenchmarkId::new("threads", threads), |b| b.iter(round));
            });
        }
        group.finish();
        drop(held);
    }
}

/// The same without limits, and a whole life: every phase, every fact, some bytes.
fn entry_alone(c: &mut Criterion) {
    let (process, _held) = Process::with(1_000, 1_000);
    let [listener, _] = &process.listeners;
    let peer = PeerAddr::new(([192, 0, 2, 1], 4000).into());
    let open = || process.tracker.open(0, Opening::new(peer, Arc::clone(listener)));
    let mut group = c.benchmark_group("entry");
    group.bench_function("open_close", |b| b.iter(|| drop(black_box(open()))));
    group.bench_function("whole_life", |b| {
        let (facts, now) = (samples::Facts::default(), Instant::now());
        b.iter(|| samples::whole_life(&open(), &facts, now));
    });
    group.bench_function("moved", |b| {
        let (guard, now) = (open(), Instant::now());
        b.iter(|| guard.moved(Side::Client, 100, now));
    });
    group.finish();
}

fn look(c: &mut Criterion) {
    for live in [1_000, 10_000, 100_000] {
        let (process, _held) = Process::with(1_000, live);
        let mut group = c.benchmark_group("look");
        group.throughput(Throughput::Elements(u64::from(live)));
        group.bench_function(BenchmarkId::new("snapshot", live), |b| {
            b.iter_with_large_drop(|| process.tracker.snapshot());
        });
        group.bench_function(BenchmarkId::new("connections", live), |b| {
            b.iter_with_large_drop(|| process.tracker.connections());
        });
        group.finish();
    }
}

criterion_group!(benches, open_close, entry_alone, look);
criterion_main!(benches);
