//! Deadlines of an established connection, on real sockets: just under passes, just over resets both sides.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, PATIENCE, Wire, eventually, scenario};
use proxy_conn::{By, Cause, Phase};
use tokio::time::Instant;

/// The deadline that each scenario is about.
const DEADLINE: Duration = Duration::from_secs(1);
/// A pause that keeps any of them from passing.
const UNDER: Duration = Duration::from_millis(300);
/// How long after a deadline both sides have to know: before any other one could have told them.
const GRACE: Duration = Duration::from_secs(5);

/// A byte there and back, three times, each after a pause: more than the deadline in all.
async fn goes_on(client: &mut Wire) {
    for n in 1..=3 {
        tokio::time::sleep(UNDER).await;
        client.send("x").await;
        client.expect(&"x".repeat(n)).await;
    }
}

/// Waits until the client is reset, which is to be when the deadline has passed since `last` and at once.
async fn is_reset_after(client: &mut Wire, last: Instant) {
    assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
    let elapsed = last.elapsed();
    assert!(elapsed < DEADLINE + GRACE, "{elapsed:?}");
    // Timers of different runtimes and a clock in milliseconds: a little early is not early.
    assert!(elapsed > DEADLINE - Duration::from_millis(50), "{elapsed:?}");
}

#[test]
fn silence_on_the_inner_hop() {
    idle("", "timeouts.inactivity_timeout = \"1s\"");
}

#[test]
fn silence_on_the_outer_hop() {
    idle("timeouts.inactivity_timeout = \"1s\"", "");
}

fn idle(outer: &str, inner: &str) {
    scenario(async {
        let backend = Backend::echo();
        let chain = Chain::with(outer, inner, &[&backend.addr()]);
        let mut client = chain.connect().await;
        goes_on(&mut client).await;
        is_reset_after(&mut client, Instant::now()).await;
        eventually(GRACE, || backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        let ends = [chain.outer.the_end().await.cause, chain.inner.the_end().await.cause];
        assert!(ends.contains(&Cause::Idle), "{ends:?}");
        chain.settles().await;
    });
}

#[test]
fn silence_of_the_backend_after_the_client_has_ended() {
    scenario(async {
        // It answers one byte at a time, under the deadline, and then nothing more.
        let backend = Backend::serving(|mut wire| async move {
            wire.read_to_end().await;
            for _ in 0..3 {
                tokio::time::sleep(UNDER).await;
                wire.try_send("x").await.unwrap_or_default();
            }
            wire.wait_for_a_reset().await;
        });
        let settings = "timeouts.half_closed_timeout = \"1s\"";
        let chain = Chain::with("", settings, &[&backend.addr()]);
        let mut client = chain.connect().await;
        client.send("request").await;
        client.half_close().await;
        client.expect("xxx").await;
        is_reset_after(&mut client, Instant::now()).await;
        eventually(GRACE, || backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::HalfClosed, Phase::Drain, By::Backend));
        chain.settles().await;
    });
}

#[test]
fn silence_of_the_client_after_the_backend_has_ended() {
    scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            wire.half_close().await;
            wire.read_to_end().await;
        });
        // The hop next to the client judges; the other one is told.
        let (outer, inner) =
            ("timeouts.half_closed_timeout = \"1s\"", "timeouts.half_closed_timeout = \"900ms\"");
        let chain = Chain::with(outer, inner, &[&backend.addr()]);
        let mut client = chain.connect().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        for _ in 0..3 {
            tokio::time::sleep(UNDER).await;
            client.send("x").await;
        }
        eventually(PATIENCE, || backend.first().text() == "xxx").await;
        let last = Instant::now();
        eventually(PATIENCE, || backend.first().end == Some(Ending::Reset)).await;
        assert!((DEADLINE / 2..DEADLINE + GRACE).contains(&last.elapsed()), "{:?}", last.elapsed());
        // It has got all there was, and the end: it is not reset for being silent. Nobody is there for what it says now.
        assert_eq!(client.received().end, Some(Ending::Fin));
        drop(client);
        for hop in chain.hops() {
            let end = hop.the_end().await;
            assert_eq!((end.cause, end.phase, end.by), (Cause::HalfClosed, Phase::Drain, By::Client));
        }
        chain.settles().await;
    });
}

#[test]
fn a_life_that_is_too_long_however_busy() {
    scenario(async {
        let backend = Backend::echo();
        let settings = "timeouts.max_connection_lifetime = \"1s\"";
        let chain = Chain::with("", settings, &[&backend.addr()]);
        let started = Instant::now();
        let mut client = chain.connect().await;
        let busy = Duration::from_millis(20);
        // It is reset while it is being written to, or read from.
        while client.try_send("x").await.is_ok() && client.received().end.is_none() {
            drop(tokio::time::timeout(busy, client.read_some()).await);
            assert!(started.elapsed() < DEADLINE + GRACE);
        }
        assert!(started.elapsed() > DEADLINE - busy, "{:?}", started.elapsed());
        eventually(GRACE, || backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::Lifetime, By::Proxy));
        chain.settles().await;
    });
}

#[test]
fn not_a_byte_ever_on_the_inner_hop() {
    no_data("", "timeouts.no_data_timeout = \"1s\"", |ends| ends.1);
}

/// The outer hop sends a PROXY header, which is its own and not a byte of the client's.
#[test]
fn not_a_byte_ever_on_the_outer_hop() {
    no_data("timeouts.no_data_timeout = \"1s\"", "", |ends| ends.0);
}

fn no_data(outer: &str, inner: &str, whose: impl Fn((Cause, Cause)) -> Cause) {
    scenario(async {
        let backend = Backend::silent();
        let chain = Chain::with(outer, inner, &[&backend.addr()]);
        let started = Instant::now();
        let mut client = chain.connect().await;
        is_reset_after(&mut client, started).await;
        eventually(GRACE, || backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        let ends = (chain.outer.the_end().await.cause, chain.inner.the_end().await.cause);
        assert_eq!(whose(ends), Cause::NoData);
        chain.settles().await;
    });
}

#[test]
fn a_backend_that_takes_nothing() {
    scenario(async {
        let backend = Backend::takes_nothing();
        let settings = "timeouts.write_stall_timeout = \"1s\"";
        let chain = Chain::with("", settings, &[&backend.addr()]);
        let mut client = chain.connect().await;
        // Floods until the client's own buffers are full, and waits for somebody to end that.
        while client.try_send([7; 64 * 1024]).await.is_ok() {}
        eventually(GRACE, || backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::WriteStall, By::Backend));
        chain.settles().await;
    });
}
