//! A ClientHello one byte at a time, through both hops: whole in time it is served, and its deadline is for all of it.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, client_hello, scenario};
use proxy_conn::{Cause, Phase};
use tokio::time::Instant;

/// The inner hop looks for the name, and gives half a second.
fn chain(named: &Backend) -> Chain {
    Chain::in_front(
        "",
        &format!(
            r#"
            timeouts.initial_data_timeout = "500ms"
            [[listeners]]
            bind = ["127.0.0.1"]
            accept_proxy = {{ required = ["127.0.0.1/32"] }}
            [[routes]]
            name = "named"
            match = {{ ports = [PORT_A], domains = ["a.test"] }}
            action = {{ forward = ["{}"] }}
            "#,
            named.addr()
        ),
    )
}

#[test]
fn is_served_whole_when_it_comes_in_time() {
    scenario(async {
        let backend = Backend::echo();
        let (chain, hello) = (chain(&backend), client_hello("a.test"));
        let mut client = chain.connect().await;
        client.send_byte_by_byte(&hello).await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.bytes, received.end), (hello, Some(Ending::Fin)));
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.server_name.as_deref()), (Cause::Finished, Some("a.test")));
        chain.settles().await;
    });
}

#[test]
fn is_reset_when_it_does_not_however_often_a_byte_comes() {
    scenario(async {
        let backend = Backend::echo();
        let chain = chain(&backend);
        let mut client = chain.connect().await;
        let started = Instant::now();
        // It would take two seconds in all.
        client.send_slowly(client_hello("a.test"), Duration::from_millis(25)).await;
        assert!(client.read_to_end().await.is_only_a_reset());
        let elapsed = started.elapsed();
        assert!((Duration::from_millis(450)..Duration::from_millis(1500)).contains(&elapsed), "{elapsed:?}");
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.phase), (Cause::HelloTimeout, Phase::Peek));
        assert_eq!(chain.outer.the_end().await.cause, Cause::BackendReset);
        assert_eq!(backend.accepted(), 0);
        chain.settles().await;
    });
}
