//! One side has ended; what the other still has to say arrives whole, then its FIN.

use chain_harness::{Backend, Chain, Ending, PATIENCE, eventually, scenario};
use proxy_conn::{By, Cause, Phase};

/// Four MiB in which no stretch repeats at the size of any buffer.
fn four_mib() -> Vec<u8> {
    (0..1_u32 << 20).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn from_the_backend_after_the_client_has_ended() {
    scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            wire.read_to_end().await;
            wire.try_send(four_mib()).await.unwrap_or_default();
            wire.half_close().await;
        });
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        // A client that ends without a byte while the backend is being dialled has left.
        client.send("request").await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert!(received.bytes == four_mib() && received.end == Some(Ending::Fin), "every byte, then FIN");
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::Finished, Phase::Drain, By::Client));
        chain.settles().await;
    });
}

#[test]
fn from_the_client_after_the_backend_has_ended() {
    scenario(async {
        let backend = Backend::half_closes();
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        client.send(four_mib()).await;
        client.half_close().await;
        eventually(PATIENCE, || backend.first().end.is_some()).await;
        let received = backend.first();
        assert!(received.bytes == four_mib() && received.end == Some(Ending::Fin), "every byte, then FIN");
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::Finished, Phase::Drain, By::Backend));
        chain.settles().await;
    });
}
