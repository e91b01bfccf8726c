//! The client resets while it sends: the backend has a prefix of it, and the reset at once.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, PATIENCE, eventually, scenario};
use proxy_conn::{By, Cause};

/// Before any deadline.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn the_backend_gets_a_prefix_and_a_reset() {
    scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            wire.read_to_end().await;
        });
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        let bytes: Vec<u8> = (0..4_u32 << 20).flat_map(u32::to_le_bytes).collect();
        let sent_enough = eventually(PATIENCE, || backend.first().bytes.len() > 1 << 20);
        tokio::select! {
            () = client.send(&bytes) => {}
            () = sent_enough => {}
        }
        client.reset();
        eventually(AT_ONCE, || backend.first().end.is_some()).await;
        let received = backend.first();
        assert_eq!(received.end, Some(Ending::Reset));
        assert!(bytes.starts_with(&received.bytes), "in order");
        for end in [chain.outer.the_end().await, chain.inner.the_end().await] {
            assert_eq!((end.cause, end.by), (Cause::ClientReset, By::Client));
        }
        chain.settles().await;
    });
}
