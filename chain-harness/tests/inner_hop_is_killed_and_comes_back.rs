//! SIGKILL of the inner hop with hundreds open, then it starts again: the outer hop is at zero at once, and serves again.

use std::time::Duration;

use chain_harness::{
    Backend, Ending, Hop, PATIENCE, Processes, Smartproxy, Wire, config, eventually, inner_process,
};
use proxy_conn::Cause;

const CLIENTS: usize = 300;
const AT_ONCE: Duration = Duration::from_secs(5);

/// The outer hop in this process, with a breaker that forgives as fast as the inner hop is back.
fn outer(inner: &Smartproxy) -> Hop {
    Hop::start(&config::outer(config::FORGIVING, &[&inner.addr()]))
}

async fn talking(count: usize, addr: std::net::SocketAddr) -> Vec<Wire> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Wire::connect(addr).await;
        client.send("hello").await;
        clients.push(client);
    }
    for client in &mut clients {
        client.expect("hello").await;
    }
    clients
}

#[test]
fn the_outer_hop_is_at_zero_and_the_next_connections_work() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let mut inner = inner_process("", backend.addr()).await;
        let hop = outer(&inner);
        for round in 1..=2 {
            let clients = talking(CLIENTS, hop.addr()).await;
            assert_eq!(hop.tracker().len(), CLIENTS);
            inner.process.kill().await;
            for mut client in clients {
                assert_ne!(client.read_to_end().await.end, None, "it is told");
            }
            hop.empties(AT_ONCE).await;
            let lost = |visit: &chain_harness::Received| visit.end.is_some();
            eventually(AT_ONCE, || {
                backend.visits().iter().filter(|visit| lost(visit)).count() >= round * CLIENTS
            })
            .await;
            // Whoever comes while it is away is turned away at once.
            let mut early = Wire::connect(hop.addr()).await;
            assert!(early.read_to_end().await.is_only_a_reset());
            drop(early);
            inner.restart().await;
            drop(talking(10, hop.addr()).await);
            hop.settles().await;
        }
        assert_eq!(hop.ends_of(Cause::DialRefused), 2);
        inner.settles_within(PATIENCE).await;
    });
}

/// What a killed process had is reset by the kernel, not closed in order: the outer hop does not take it for half-closed, and
/// ends also what its clients would have kept.
#[test]
fn clients_that_stay_are_reset_at_once() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let mut chain = Processes::with("", "", backend.addr()).await;
        let mut clients = talking(50, chain.outer.addr()).await;
        chain.inner.process.kill().await;
        chain.outer.settles_within(AT_ONCE).await;
        for client in &mut clients {
            assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        }
    });
}

/// The answer is cut off in the middle: nobody may take what there is of it for the whole.
#[test]
fn an_answer_that_is_cut_off_does_not_end_in_order() {
    Smartproxy::scenario(async {
        let backend = Backend::floods();
        let mut chain = Processes::with("", "", backend.addr()).await;
        let mut client = chain.connect().await;
        client.read_until(|bytes| bytes.len() >= 1 << 20).await;
        chain.inner.process.kill().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        drop(client);
        chain.outer.settles_within(AT_ONCE).await;
    });
}

/// Both hops as processes, seen from outside: descriptors.
#[test]
fn no_descriptor_is_left_in_either_process() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let mut chain = Processes::with("", "", backend.addr()).await;
        let clients = talking(50, chain.outer.addr()).await;
        assert!(chain.outer.process.descriptors() >= 100, "two for each");
        chain.inner.process.kill().await;
        for mut client in clients {
            assert_ne!(client.read_to_end().await.end, None);
        }
        chain.outer.settles_within(AT_ONCE).await;
        chain.inner.restart().await;
        let mut client = chain.connect().await;
        client.send("hello").await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("hello", Some(Ending::Fin)));
        drop(client);
        chain.settle_within(PATIENCE).await;
    });
}
