//! A backend that is gone for a while: who is turned away, who finds out that it is back, and how soon.

use std::sync::atomic::{AtomicBool, Ordering};

use proxy_conn::BreakerState;
use proxy_core::resolve::ResolverOptions;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;

const MS: Duration = Duration::from_millis(1);

impl Rig {
    /// A proxy whose route leads to these.
    fn to(targets: &str) -> Self {
        Self::new(&PLAIN.replace("\"127.0.0.1:9000\"", targets))
    }

    /// Has it look after targets that are not well, for as long as the result is kept.
    fn recovers(&self) -> DropGuard {
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the test stands in for the server")]
        drop(tokio::spawn(self.proxy.recover(stop.clone())));
        stop.drop_guard()
    }

    fn state(&self, nth: usize) -> BreakerState {
        self.proxy.route(0).unwrap().targets.iter().nth(nth).unwrap().breaker().state
    }

    /// How a client fares who comes now, and how long that takes.
    async fn fares(&self) -> (String, Duration) {
        let started = Instant::now();
        let (client, task) = self.spawn();
        tokio::select! {
            (said, _) = async { read_to_end(&client).await } => (String::from_utf8(said).unwrap(), started.elapsed()),
            _ = task => (String::new(), started.elapsed()),
        }
    }
}

fn port(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Says who it is to everybody, until it is dropped.
fn answering(net: &MemNet, at: SocketAddr) -> DropGuard {
    let (listener, stop) = (net.listen(at), CancellationToken::new());
    let answer = async move {
        while let Ok((stream, _)) = listener.accept().await {
            write_all(&stream, at.to_string().as_bytes()).await.unwrap_or_default();
            stream.finish();
        }
    };
    let running = stop.clone().run_until_cancelled_owned(answer);
    #[expect(clippy::disallowed_methods, reason = "the test stands in for the backend")]
    drop(tokio::spawn(running));
    stop.drop_guard()
}

#[tokio::test(start_paused = true)]
async fn the_only_backend_is_used_as_soon_as_it_is_back() {
    for outage in [1, 12] {
        let rig = Rig::to("\"127.0.0.1:9000\"");
        let _recovers = rig.recovers();
        for _ in 0..outage * 10 {
            assert_eq!(rig.fares().await.0, "", "nobody is there");
            tokio::time::sleep(100 * MS).await;
        }
        assert_eq!(rig.state(0), BreakerState::Open);
        let _backend = answering(&rig.net, port(9000));
        assert_eq!(rig.fares().await, ("127.0.0.1:9000".to_owned(), Duration::ZERO), "after {outage} s");
        assert_eq!(rig.state(0), BreakerState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_backend_is_used_within_a_second_of_its_return_from_silence() {
    for outage in [1, 12] {
        let rig = Rig::to("\"127.0.0.1:9000\"");
        let _recovers = rig.recovers();
        for _ in 0..5 {
            rig.fares().await;
        }
        let hole = rig.net.black_hole(port(9000));
        for _ in 0..outage * 2 {
            drop(rig.spawn());
            tokio::time::sleep(500 * MS).await;
        }
        let _backend = answering(&rig.net, port(9000));
        drop(hole);
        let back = Instant::now();
        while rig.fares().await.0.is_empty() {
            tokio::time::sleep(10 * MS).await;
        }
        assert!(back.elapsed() <= 1000 * MS, "{:?} after {outage} s", back.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn of_those_who_have_nobody_else_to_go_to_one_asks_for_all() {
    let rig = Rig::to("\"127.0.0.1:9000\"");
    for _ in 0..5 {
        rig.fares().await;
    }
    let hole = rig.net.black_hole(port(9000));
    let (_first, _) = rig.spawn();
    tokio::time::sleep(MS).await;
    rig.ends.0.lock().clear();
    assert_eq!(rig.fares().await.1, 1000 * MS, "one who waits does so for a moment");
    insta::assert_snapshot!(std::mem::take(&mut *rig.ends.0.lock()).join("\n"), @"SC targets_down by backend in dial 0/0: cannot connect to 127.0.0.1:9000: skipped: it failed too often, it is being tried");
    let waiting: Vec<_> = (0..10).map(|_| rig.spawn()).collect();
    tokio::time::sleep(MS).await;
    let _backend = answering(&rig.net, port(9000));
    drop(hole);
    for (client, task) in waiting {
        // The first is refused, and has asked for all who waited.
        assert_eq!(read_to_end(&client).await.0, b"");
        task.await.unwrap();
    }
    assert_eq!(rig.fares().await.0, "127.0.0.1:9000");
}

/// Whom each of some clients reached, by port.
async fn reached(rig: &Rig, clients: usize) -> String {
    let mut all = Vec::new();
    for _ in 0..clients {
        all.push(rig.fares().await.0.rsplit(':').next().unwrap_or_default().to_owned());
    }
    all.join(" ")
}

#[tokio::test(start_paused = true)]
async fn one_of_two_that_is_back_is_used_again_within_a_second() {
    let rig = Rig::to("\"127.0.0.1:9000\", \"127.0.0.1:9001\"");
    let _recovers = rig.recovers();
    let _other = answering(&rig.net, port(9001));
    assert_eq!(reached(&rig, 12).await, "9001 ".repeat(12).trim_end(), "nobody is turned away");
    assert_eq!(rig.state(0), BreakerState::Open);
    tokio::time::sleep(12_000 * MS).await;
    let _backend = answering(&rig.net, port(9000));
    tokio::time::sleep(1000 * MS).await;
    assert_eq!(rig.state(0), BreakerState::Closed, "though no client has tried it");
    let both = reached(&rig, 4).await;
    assert!(both.contains("9000 9001 9000") || both.contains("9001 9000 9001"), "{both}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_one_of_two_costs_one_client_a_moment_and_the_others_nothing() {
    let rig = Rig::to("\"127.0.0.1:9000\", \"127.0.0.1:9001\"");
    let _recovers = rig.recovers();
    let hole = rig.net.black_hole(port(9000));
    let _other = answering(&rig.net, port(9001));
    let mut late = Vec::new();
    for _ in 0..20 {
        let (said, took) = rig.fares().await;
        assert_eq!(said, "127.0.0.1:9001");
        late.extend(Some(took).filter(|took| *took > Duration::ZERO));
    }
    assert_eq!(late, [250 * MS]);
    rig.proxy.tracker.emptied().await;
    assert_eq!(
        rig.proxy.route(0).unwrap().targets.in_use(),
        0,
        "no place is kept at the one that was overtaken"
    );
    tokio::time::sleep(30_000 * MS).await;
    assert_eq!(rig.state(0), BreakerState::Open, "that it is silent is found, and shows");
    assert_eq!(rig.fares().await.1, Duration::ZERO);
    let _backend = answering(&rig.net, port(9000));
    drop(hole);
    tokio::time::sleep(1000 * MS).await;
    let both = reached(&rig, 4).await;
    assert!(both.contains("9000 9001 9000") || both.contains("9001 9000 9001"), "{both}");
}

/// A name that is somewhere else from the moment on that it is said to be.
fn moving(moved: &Arc<AtomicBool>) -> Resolver {
    let moved = Arc::clone(moved);
    Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
        let last = if moved.load(Ordering::Relaxed) { 2 } else { 1 };
        Box::pin(async move { Ok(vec![[127, 0, 0, last].into()]) })
    })
}

#[tokio::test(start_paused = true)]
async fn a_name_that_has_moved_is_followed_within_a_second_and_begins_with_a_closed_breaker() {
    let moved = Arc::new(AtomicBool::new(false));
    let mut rig = Rig::to("\"be.test:9000\"");
    Arc::get_mut(&mut rig.proxy).unwrap().resolver = moving(&moved);
    let _new = answering(&rig.net, ([127, 0, 0, 2], 9000).into());
    for _ in 0..10 {
        assert_eq!(rig.fares().await.0, "");
    }
    assert_eq!(rig.state(0), BreakerState::Open);
    moved.store(true, Ordering::Relaxed);
    tokio::time::sleep(1000 * MS).await;
    assert_eq!(rig.fares().await, ("127.0.0.2:9000".to_owned(), Duration::ZERO));
    // And where the new addresses refuse too, they do so for themselves.
    let moved = Arc::new(AtomicBool::new(false));
    let mut rig = Rig::to("\"be.test:9000\"");
    Arc::get_mut(&mut rig.proxy).unwrap().resolver = moving(&moved);
    for _ in 0..10 {
        rig.fares().await;
    }
    moved.store(true, Ordering::Relaxed);
    tokio::time::sleep(1000 * MS).await;
    rig.fares().await;
    assert_eq!(rig.state(0), BreakerState::Closed, "one failure of its own");
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_after_a_target_that_is_gone_or_drained() {
    let rig = Rig::to("\"127.0.0.1:9000\"");
    let recovers = rig.recovers();
    for _ in 0..5 {
        rig.fares().await;
    }
    rig.proxy.route(0).unwrap().targets.iter().next().unwrap().draining.set(true);
    let listener = rig.net.listen(port(9000));
    let tried = tokio::time::timeout(10_000 * MS, listener.accept()).await;
    assert!(tried.is_err(), "it is drained");
    rig.proxy.route(0).unwrap().targets.iter().next().unwrap().draining.set(false);
    tokio::time::timeout(1000 * MS, listener.accept()).await.unwrap().unwrap();
    drop(recovers);
    assert_eq!(rig.proxy.tries(), 0);
}
