//! A reset in mid-transfer goes through both hops as a reset, at once, behind the bytes that came before it.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, eventually, scenario};
use proxy_conn::{By, Cause, Phase};

/// How fast ends travel (invariant 10, scenario 6): before any deadline.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn of_the_backend_behind_its_last_words() {
    scenario(async {
        let backend = Backend::resets_after(7, b"last words");
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        client.send("request").await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("last words", Some(Ending::Reset)));
        drop(client);
        for end in [chain.outer.the_end().await, chain.inner.the_end().await] {
            assert_eq!((end.cause, end.phase, end.by), (Cause::BackendReset, Phase::Relay, By::Backend));
        }
        chain.settles().await;
    });
}

#[test]
fn of_a_backend_that_resets_right_after_accept() {
    scenario(async {
        let backend = Backend::resets_on_accept();
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        assert!(client.read_to_end().await.is_only_a_reset());
        drop(client);
        assert_eq!(chain.inner.the_end().await.by, By::Backend);
        chain.settles().await;
    });
}

#[test]
fn of_the_client_behind_its_last_words() {
    scenario(async {
        let backend = Backend::silent();
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        client.send("last words").await;
        eventually(AT_ONCE, || backend.first().text() == "last words").await;
        client.reset();
        eventually(AT_ONCE, || backend.first().end == Some(Ending::Reset)).await;
        assert_eq!(backend.first().text(), "last words");
        for end in [chain.outer.the_end().await, chain.inner.the_end().await] {
            assert_eq!((end.cause, end.phase, end.by), (Cause::ClientReset, Phase::Relay, By::Client));
        }
        chain.settles().await;
    });
}

/// It had ended its direction, so nobody was reading from it any more.
#[test]
fn of_a_client_that_had_half_closed() {
    scenario(async {
        let backend = Backend::silent();
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        client.send("request").await;
        client.half_close().await;
        eventually(AT_ONCE, || backend.first().end == Some(Ending::Fin)).await;
        client.reset();
        eventually(AT_ONCE, || backend.first().end == Some(Ending::Reset)).await;
        for end in [chain.outer.the_end().await, chain.inner.the_end().await] {
            assert_eq!((end.cause, end.phase, end.by), (Cause::ClientReset, Phase::Drain, By::Client));
        }
        chain.settles().await;
    });
}

/// Nobody reads: every buffer between backend and client is full when the reset comes.
#[test]
fn of_a_client_that_takes_nothing_from_a_fast_backend() {
    scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            while wire.try_send([7; 64 * 1024]).await.is_ok() {}
            wire.wait_for_a_reset().await;
        });
        let chain = Chain::to(backend.addr());
        let client = chain.connect().await;
        let stuck =
            || chain.outer.tracker().snapshot().iter().any(|view| view.idle > Duration::from_millis(100));
        eventually(AT_ONCE, || stuck() && chain.outer.tracker().len() == 1).await;
        client.reset();
        eventually(AT_ONCE, || backend.first().end == Some(Ending::Reset)).await;
        chain.settles().await;
    });
}

/// The same the other way: a reset of the backend reaches a client whose bytes nobody takes.
#[test]
fn of_a_backend_that_takes_nothing_from_a_fast_client() {
    scenario(async {
        let (reset, told) = tokio::sync::oneshot::channel::<()>();
        let told = std::sync::Mutex::new(Some(told));
        let backend = Backend::serving(move |wire| {
            let told = told.lock().ok().and_then(|mut told| told.take());
            async move {
                if let Some(told) = told {
                    told.await.unwrap_or_default();
                }
                wire.reset();
            }
        });
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        let quiet = Duration::from_millis(200);
        while tokio::time::timeout(quiet, client.try_send([7; 64 * 1024])).await.is_ok() {}
        reset.send(()).unwrap();
        eventually(AT_ONCE, || chain.outer.tracker().is_empty()).await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        drop(client);
        assert_eq!(chain.inner.the_end().await.cause, Cause::BackendReset);
        chain.settles().await;
    });
}
