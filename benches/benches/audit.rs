//! The audit: what a look costs, in parts and whole.
//!
//! `audit_real` reads this process's own sockets: an entry has both ends of one loopback connection, so two descriptors
//! (9 000 entries fit into a limit of 20 000). `audit_synthetic` is a table of 100 000 entries against a kernel with
//! 200 000 sockets, and `/proc/net/tcp` with as many lines, both made up.

use std::hint::black_box;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proxy_conn::audit::{
    AuditOptions, Claim, Expectations, Kernel, OwnSocket, Table, TableEntry, TcpState, compare,
    kernel::read_table,
};
use proxy_conn::{ConnGuard, ConnId, DeadlineKind, Opening, Phase, Talk, Tracker};
use proxy_core::{PeerAddr, Side};
use tokio::time::Instant;

const REAL: [usize; 2] = [1_000, 9_000];
const SYNTHETIC: u32 = 100_000;

/// A connection, both its sockets, and its entry.
struct Conn {
    _sockets: [TcpStream; 2],
    _guard: ConnGuard,
}

fn open(tracker: &Arc<Tracker>, listener: &TcpListener) -> io::Result<Conn> {
    #[expect(clippy::disallowed_methods, reason = "a bench on loopback")]
    let backend = TcpStream::connect(listener.local_addr()?)?;
    let (client, peer) = listener.accept()?;
    let guard = tracker.open(0, Opening::new(PeerAddr::new(peer), "bench"));
    let deadline = Instant::now() + Duration::from_secs(3600);
    for phase in [Phase::Dial, Phase::Relay] {
        guard.enter(phase, deadline, DeadlineKind::Dial).map_err(|end| io::Error::other(end.to_string()))?;
    }
    guard.hold(Side::Client, Some(client.as_raw_fd()));
    guard.hold(Side::Backend, Some(backend.as_raw_fd()));
    Ok(Conn { _sockets: [client, backend], _guard: guard })
}

#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
fn real(c: &mut Criterion) {
    let mut group = c.benchmark_group("audit_real");
    group.sample_size(10);
    for size in REAL {
        let tracker = Tracker::new(2, ());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let conns: Vec<_> = (0..size).map(|_| open(&tracker, &listener).expect("descriptors")).collect();
        let look = || {
            let (table, expected) = Table::read(&tracker, Expectations::default);
            let kernel = Kernel::read().expect("/proc");
            compare(&table, Some(&kernel), &expected, &AuditOptions::default())
        };
        assert!(look().is_empty(), "nothing is wrong here");
        group.bench_function(BenchmarkId::new("look", size), |b| b.iter(look));
        let table = || Table::read(&tracker, || ()).0.entries.len();
        group.bench_function(BenchmarkId::new("table", size), |b| b.iter(table));
        group.bench_function(BenchmarkId::new("kernel", size), |b| b.iter(Kernel::read));
        group.bench_function(BenchmarkId::new("kernel_from_proc", size), |b| b.iter(Kernel::read_from_proc));
        drop(conns);
    }
    group.finish();
}

fn entry(nth: u32, at: Instant) -> TableEntry {
    let (age, fd) = (Duration::from_secs(100), i32::try_from(nth * 2 + 10).unwrap_or(i32::MAX));
    let claim = |fd| Some(Claim { fd, held_for: age });
    TableEntry {
        id: ConnId { instance: 1, count: nth.into() },
        peer: PeerAddr::new(([10, 0, 0, 1], 4000).into()),
        role: proxy_conn::Role::Accepted,
        pool: None,
        phase: Phase::Relay,
        age,
        in_phase: age,
        idle: age,
        talk: Talk::Answered,
        deadline: Some((at + age, DeadlineKind::Dial)),
        client: claim(fd),
        backend: claim(fd + 1),
    }
}

fn socket(nth: u32) -> OwnSocket {
    let fd = i32::try_from(nth + 10).unwrap_or(i32::MAX);
    let addresses = Some((([10, 0, 0, 9], 443).into(), ([10, 0, 0, 1], 4000).into()));
    OwnSocket { fd, inode: u64::from(nth) + 7_000_000, tcp: Some(TcpState::Established), addresses }
}

fn synthetic(c: &mut Criterion) {
    let mut group = c.benchmark_group("audit_synthetic");
    group.sample_size(20);
    let at = Instant::now() + Duration::from_secs(1000);
    let entries = (0..SYNTHETIC).map(|nth| entry(nth, at)).collect();
    let table = Table { at, since: at, moved_before: 0, moved: 0, entries };
    let kernel = Kernel::new((0..SYNTHETIC * 2).map(socket).collect());
    let (expected, options) = (Expectations::default(), AuditOptions::default());
    let compared = || compare(black_box(&table), Some(black_box(&kernel)), &expected, &options);
    assert!(compared().is_empty(), "nothing is wrong here");
    group.bench_function(BenchmarkId::new("compare", SYNTHETIC), |b| b.iter(compared));
    let text = text(SYNTHETIC * 2);
    group.throughput(Throughput::Elements(u64::from(SYNTHETIC) * 2));
    group.bench_function(BenchmarkId::new("read_table", SYNTHETIC * 2), |b| {
        b.iter(|| {
            let mut inodes = 0;
            read_table(black_box(text.as_bytes()), |row| inodes ^= row.inode).map(|()| inodes)
        });
    });
    group.finish();
}

fn text(lines: u32) -> String {
    let mut text = String::from("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when ...\n");
    for nth in 0..lines {
        let (port, inode) = (nth % 60_000 + 1024, u64::from(nth) + 7_000_000);
        text += &format!(
            "{nth:4}: 0900000A:01BB 0100000A:{port:04X} 01 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 00000000e210365c 20 4 30 10 -1\n"
        );
    }
    text
}

criterion_group!(benches, real, synthetic);
criterion_main!(benches);
