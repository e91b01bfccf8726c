//! The client has gone while the backend is being dialled: both hops abandon the dial at once: that is what each end's cause says.

use std::time::Duration;

use chain_harness::{BlackHole, Chain, Wire, scenario};
use proxy_conn::{Cause, Phase};

/// For 20 of them on a busy machine; the deadline of the dial, which would have another cause, is 10 s.
const ABANDONED: Duration = Duration::from_secs(3);

/// Clients leave in a certain way while both hops wait for a black hole.
async fn leaves(leave: impl Fn(Wire), send: &str) -> Vec<Cause> {
    let hole = BlackHole::open().await;
    let chain = Chain::to(hole.addr());
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = chain.connect().await;
        client.send(send).await;
        clients.push(client);
    }
    chain.inner.has_in(Phase::Dial, 20).await;
    clients.into_iter().for_each(leave);
    chain.settles_within(ABANDONED).await;
    chain.inner.ended(20).await.into_iter().map(|end| end.cause).collect()
}

#[test]
fn with_a_fin_and_nothing_sent() {
    scenario(async {
        assert_eq!(leaves(drop, "").await, [Cause::ClientLeft; 20]);
    });
}

#[test]
fn with_a_reset_and_nothing_sent() {
    scenario(async {
        assert_eq!(leaves(Wire::reset, "").await, [Cause::ClientReset; 20]);
    });
}

#[test]
fn with_a_reset_behind_a_request() {
    scenario(async {
        assert_eq!(leaves(Wire::reset, "request").await, [Cause::ClientReset; 20]);
    });
}
