//! Backends that take their time: those that say something in time stay, those that do not are ended.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, eventually, scenario};
use proxy_conn::{By, Cause};
use tokio::time::Instant;

/// Silence that ends a connection on the inner hop, and how long after it everybody has to know: before the late answer.
const IDLE: &str = "timeouts.inactivity_timeout = \"800ms\"";
const DEADLINE: Duration = Duration::from_millis(800);
const GRACE: Duration = Duration::from_secs(5);

#[test]
fn one_byte_at_a_time_for_longer_than_the_deadline() {
    scenario(async {
        let backend = Backend::drips("drip drop", Duration::from_millis(150));
        let chain = Chain::with("", IDLE, &[&backend.addr()]);
        let mut client = chain.connect().await;
        let started = Instant::now();
        client.send("request").await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("drip drop", Some(Ending::Fin)));
        assert!(started.elapsed() > DEADLINE, "{:?}", started.elapsed());
        drop(client);
        chain.settles().await;
    });
}

#[test]
fn a_first_byte_just_in_time() {
    scenario(async {
        let backend = Backend::answers_after(Duration::from_millis(300), "at last");
        let chain = Chain::with("", IDLE, &[&backend.addr()]);
        let mut client = chain.connect().await;
        client.send("request").await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("at last", Some(Ending::Fin)));
        drop(client);
        chain.settles().await;
    });
}

#[test]
fn a_first_byte_too_late() {
    scenario(async {
        let backend = Backend::answers_after(Duration::from_secs(8), "too late");
        let chain = Chain::with("", IDLE, &[&backend.addr()]);
        let mut client = chain.connect().await;
        client.send("request").await;
        let started = Instant::now();
        assert!(client.read_to_end().await.is_only_a_reset());
        assert!(started.elapsed() < DEADLINE + GRACE, "{:?}", started.elapsed());
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::Idle, By::Proxy));
        chain.outer.empties(GRACE).await;
    });
}

/// It has said something, so it is a living connection; then it takes nothing any more.
#[test]
fn one_that_sends_and_then_stops_reading() {
    scenario(async {
        let backend = Backend::stops_reading_after("welcome");
        let settings = "timeouts.write_stall_timeout = \"500ms\"";
        let chain = Chain::with("", settings, &[&backend.addr()]);
        let mut client = chain.connect().await;
        client.expect("welcome").await;
        while client.try_send([7; 64 * 1024]).await.is_ok() {}
        eventually(GRACE, || backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::WriteStall, By::Backend));
        chain.settles().await;
    });
}
