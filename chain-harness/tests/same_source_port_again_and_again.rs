//! A client that reconnects from the address and port it just had, many times, however the connection before ended.

use std::net::SocketAddr;

use chain_harness::{Backend, Chain, Ending, Wire, free_port, scenario};
use proxy_conn::Cause;

const TIMES: usize = 60;

/// Whether it works each time; `leave` is how a client ends that has had its answer.
fn works(leave: impl AsyncFn(Wire)) {
    scenario(async {
        let backend = Backend::answers("hello");
        let chain = Chain::to(backend.addr());
        let source = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for n in 1..=TIMES {
            let mut client = Wire::connect_from(source, chain.outer.addr()).await;
            client.send("GET / HTTP/1.1\r\n\r\n").await;
            client.read_until(|bytes| bytes.ends_with(b"hello")).await;
            leave(client).await;
            let ends = [chain.outer.ended(n).await.remove(n - 1), chain.inner.ended(n).await.remove(n - 1)];
            assert!(ends.iter().all(|end| end.client == Some(source)), "{ends:?}");
            chain.settles().await;
        }
        assert_eq!(backend.accepted(), TIMES);
    });
}

/// The proxy ends first, so it has the port in `TIME_WAIT` when the same client comes again.
#[test]
fn after_an_orderly_end_by_the_backend() {
    works(async |mut client: Wire| assert_eq!(client.read_to_end().await.end, Some(Ending::Fin)));
}

#[test]
fn after_a_reset() {
    works(async |client: Wire| client.reset());
}

/// The proxy has cut the connection before: nothing of it is left, not even in the kernel.
#[test]
fn after_the_proxy_has_ended_it() {
    scenario(async {
        let backend = Backend::silent();
        let chain = Chain::with("", "timeouts.inactivity_timeout = \"50ms\"", &[&backend.addr()]);
        let source = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for n in 1..=10 {
            let mut client = Wire::connect_from(source, chain.outer.addr()).await;
            client.send("request").await;
            assert!(client.read_to_end().await.is_only_a_reset());
            assert_eq!(chain.inner.ended(n).await.remove(n - 1).cause, Cause::Idle);
        }
        chain.settles().await;
    });
}
