//! Permits between threads: never one too many, never one lost, whoever panics and whoever leaves.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, Limit, QueueLimits};
use proxy_core::Bound;
use tokio::task::JoinSet;
use tokio::time::Instant;

const THREADS: usize = 4;
const ROUNDS: usize = 10_000;

/// How many hold something now, and the most that ever did, counted by the holders themselves.
#[derive(Default)]
struct Holders {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Holders {
    fn enter(&self) -> Inside<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Inside(self)
    }
}

struct Inside<'a>(&'a Holders);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `round` in every thread, `ROUNDS` times; every hundredth time it is told to panic.
fn everywhere(round: impl Fn(usize, bool) + Sync) {
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let round = &round;
            scope.spawn(move || {
                for n in 0..ROUNDS {
                    let panics = n % 100 == 99;
                    let caught = std::panic::catch_unwind(AssertUnwindSafe(|| round(thread, panics)));
                    assert!(caught.is_ok() || panics);
                }
            });
        }
    });
}

#[test]
fn concurrent_admission_never_exceeds_and_never_leaks() {
    let (limit, holders) = (Limit::new(3), Holders::default());
    everywhere(|_, panics| {
        if let Some(_permit) = limit.acquire() {
            let _inside = holders.enter();
            assert!(!panics, "a planted panic");
        }
    });
    assert!((1..=3).contains(&holders.most.into_inner()));
    assert!((1..=3).contains(&limit.high_water()));
    assert_eq!(limit.in_use(), 0);
}

#[test]
fn concurrent_admission_of_one_client_never_exceeds_and_never_leaks() {
    let at_least_one = |n| NonZeroU32::new(n).unwrap();
    let limits = AddressLimits::new(
        AddressLimitsOptions::default()
            .connections_per_client(at_least_one(3))
            .connections_per_client_per_minute(NonZeroU32::MAX),
    );
    let clients: [(IpAddr, Holders); 2] =
        [1, 2].map(|n| (Ipv4Addr::new(192, 0, 2, n).into(), Holders::default()));
    everywhere(|thread, panics| {
        let (ip, holders) = &clients[thread % 2];
        if let Ok(_permit) = limits.admit(*ip, Instant::now()) {
            let _inside = holders.enter();
            assert!(!panics, "a planted panic");
        }
    });
    for (ip, holders) in clients {
        assert!((1..=3).contains(&holders.most.into_inner()));
        assert_eq!(limits.count(ip), 0);
    }
    assert_eq!(limits.total(), 0);
}

/// Tasks that wait, hold, panic and are aborted at random, on several threads, while the limit goes up and down.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waiters_that_are_aborted_at_random_lose_nothing() {
    std::panic::set_hook(Box::new(|_| {}));
    let limit = Limit::new(3);
    let holders: &Holders = Box::leak(Box::default());
    let queue = QueueLimits::new(50, Bound::millis(20));
    let mut random = fastrand::Rng::with_seed(7);
    let mut tasks = JoinSet::new();
    for n in 0..4_000 {
        let (own, held, panics) = (limit.clone(), random.u64(0..200), n % 50 == 49);
        let task = tasks.spawn(async move {
            if let Ok(_permit) = own.acquire_or_wait(&queue).await {
                let _inside = holders.enter();
                tokio::time::sleep(Duration::from_micros(held)).await;
                assert!(!panics, "a planted panic");
            }
        });
        match random.u8(..) {
            0..64 => task.abort(),
            64..80 => tokio::task::yield_now().await,
            80..84 => limit.set_most(random.usize(1..=3)),
            84.. => {}
        }
        if tasks.len() > 100 {
            let _ended = tasks.join_next().await;
        }
    }
    while tasks.join_next().await.is_some() {}
    assert!((1..=3).contains(&holders.most.load(Ordering::SeqCst)));
    assert_eq!((limit.in_use(), limit.waiting(), holders.now.load(Ordering::SeqCst)), (0, 0, 0));
    assert!(limit.acquire().is_some());
}
