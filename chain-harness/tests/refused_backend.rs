//! Nobody listens where the backend should be: the next target is tried, and where none is left the client knows at once.

use std::time::Duration;

use chain_harness::{Backend, Chain, refuses, scenario};
use proxy_conn::{By, Cause, Phase};
use tokio::time::Instant;

#[test]
fn the_next_target_is_tried() {
    scenario(async {
        let backend = Backend::echo();
        let chain = Chain::with("", "", &[&refuses(), &refuses(), &backend.addr()]);
        let mut client = chain.connect().await;
        client.send("hello").await;
        client.expect("hello").await;
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.target), (Cause::Finished, Some(backend.addr().to_string())));
        chain.settles().await;
    });
}

#[test]
fn where_all_refuse_the_client_is_reset_at_once() {
    scenario(async {
        let targets = [refuses(), refuses()];
        let chain = Chain::with("", "", &[&targets[0], &targets[1]]);
        let mut client = chain.connect().await;
        let started = Instant::now();
        assert!(client.read_to_end().await.is_only_a_reset());
        assert!(started.elapsed() < Duration::from_secs(5), "before any deadline: {:?}", started.elapsed());
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::DialRefused, Phase::Dial, By::Backend));
        for target in targets {
            assert!(end.detail.contains(&format!("{target}: connection refused")), "{}", end.detail);
        }
        assert_eq!(chain.outer.the_end().await.cause, Cause::BackendReset);
        chain.settles().await;
    });
}
