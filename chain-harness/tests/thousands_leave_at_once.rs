//! Thousands of clients disconnect at once: both hops are at zero long before any deadline could have helped.

use std::time::Duration;

use chain_harness::{Backend, Chain, Wire, room_for_descriptors, scenario};
use proxy_conn::Phase;

/// As many as the scenario wants; fewer where this process may not have descriptors for them.
const CLIENTS: usize = 2_000;
/// One for the client, two for each hop, one for the backend.
const DESCRIPTORS_EACH: usize = 6;

/// A second on a machine of its own; this is for a busy one. The shortest deadline that could end any of them, that of half-
/// closed connections in the pool `chain`, is twice as long.
const AT_ONCE: Duration = Duration::from_secs(5);

fn leave_at_once(leave: fn(Wire)) {
    scenario(async {
        let clients = CLIENTS.min(room_for_descriptors(100) / DESCRIPTORS_EACH);
        let backend = Backend::echo();
        let chain = Chain::to(backend.addr());
        let mut connected = Vec::new();
        for _ in 0..clients {
            connected.push(chain.connect().await);
        }
        chain.inner.has_in(Phase::Relay, clients).await;
        connected.into_iter().for_each(leave);
        chain.settles_within(AT_ONCE).await;
        for hop in chain.hops() {
            assert_eq!(hop.ended(clients).await.len(), clients);
        }
    });
}

#[test]
fn with_a_fin() {
    leave_at_once(drop);
}

#[test]
fn with_a_reset() {
    leave_at_once(Wire::reset);
}
