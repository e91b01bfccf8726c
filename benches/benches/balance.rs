//! The choice of a member: what a connection pays for being offered to one of 2, 1 000 or 10 000, alone and beside a second thread
//! that does the same.
//!
//! Members have weights from 1 to 4, and three connections each on average, as the algorithm has given them out. `choice` is the choice
//! alone, with what it is made of; `and_permit` goes on to the permit of the member, as a dial that succeeds does, and gives one back
//! that was taken a while ago.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::beside;
use benches::samples::client;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxy_conn::limits::Permit;
use proxy_core::dial::Gate;
use proxy_upstream::{Balance, Group, GroupOptions, HashKey, Kept, Key, MemberOptions, Weight};

const MEMBERS: [usize; 3] = [2, 1_000, 10_000];

const ALGORITHMS: [(&str, Balance); 6] = [
    ("round_robin", Balance::RoundRobin),
    ("least_connections", Balance::LeastConnections),
    ("p2c", Balance::P2c),
    ("hash", Balance::Hash(HashKey::Client)),
    ("random", Balance::Random),
    ("first", Balance::First),
];

#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
fn group(members: usize, balance: Balance) -> Group {
    let member = |n: usize| {
        let target = format!("10.{}.{}.1:443", n / 250, n % 250).parse().expect("a target");
        MemberOptions::new(target).weight(Weight::nearest(1 + u32::try_from(n % 4).unwrap_or(0)))
    };
    let options = GroupOptions::default().balance(balance);
    let group =
        Group::new("bench".into(), (0..members).map(member), options, &Kept::default(), &Arc::default());
    group.take_force();
    group
}

/// Takes a connection to the member of the `nth` client.
fn connect(group: &Group, nth: u32) -> Option<Permit> {
    let candidates = group.candidates_for(443, &Key::new(Some(client(nth)), None));
    candidates.enter(0).ok().map(|attempt| candidates.reached(attempt).permit)
}

fn choice(c: &mut Criterion) {
    let mut benches = c.benchmark_group("balance");
    benches.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for members in MEMBERS {
        for (name, balance) in ALGORITHMS {
            let group = group(members, balance);
            let mut open: VecDeque<_> = (0..).map(|nth| connect(&group, nth)).take(3 * members).collect();
            let round = |thread: usize| {
                let key = Key::new(Some(client(u32::try_from(thread).unwrap_or(0))), None);
                black_box(group.candidates_for(443, black_box(&key)).addresses.len());
            };
            for threads in [1, 2] {
                let id = BenchmarkId::new(format!("choice/{name}/{members}"), threads);
                beside(threads - 1, round, |round| {
                    benches.bench_function(id, |b| b.iter(round));
                });
            }
            let mut nth = 0;
            benches.bench_function(BenchmarkId::new(format!("and_permit/{name}"), members), |b| {
                b.iter(|| {
                    nth += 1;
                    open.push_back(connect(&group, nth));
                    open.pop_front()
                });
            });
        }
    }
    benches.finish();
}

criterion_group!(benches, choice);
criterion_main!(benches);
