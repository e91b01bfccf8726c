//! The backend resets while, or right after, it sends: what was read before arrives, then the reset, and never a FIN.

use chain_harness::{Backend, Chain, Ending, PATIENCE, Wire, eventually, scenario};
use proxy_conn::{By, Cause};
use tokio::sync::oneshot;

/// Bytes in which no stretch repeats at the size of any buffer.
fn pattern(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(u32::to_le_bytes).collect()
}

/// A backend that sends `bytes` and resets when told to.
fn sends_and_resets(bytes: Vec<u8>) -> (Backend, oneshot::Sender<()>) {
    let (reset, told) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some((bytes, told)));
    let backend = Backend::serving(move |mut wire| {
        let once = once.lock().ok().and_then(|mut once| once.take());
        async move {
            let Some((bytes, told)) = once else { return };
            tokio::select! {
                _ = told => {}
                _ = async { wire.try_send(bytes).await.unwrap_or_default(); std::future::pending::<()>().await } => {}
            }
            wire.reset();
        }
    });
    (backend, reset)
}

async fn ends_by_the_backend(chain: &Chain, client: Wire) {
    drop(client);
    for end in [chain.outer.the_end().await, chain.inner.the_end().await] {
        assert_eq!((end.cause, end.by), (Cause::BackendReset, By::Backend));
    }
    chain.settles().await;
}

/// More than all buffers take: most of it has not even left the backend.
#[test]
fn while_it_sends_to_a_client_that_reads() {
    scenario(async {
        let bytes = pattern(64 << 20);
        let (_backend, reset) = sends_and_resets(bytes.clone());
        let chain = Chain::to(_backend.addr());
        let mut client = chain.connect().await;
        client.read_until(|bytes| bytes.len() >= 1 << 20).await;
        reset.send(()).unwrap();
        let received = client.read_to_end().await;
        assert_eq!(received.end, Some(Ending::Reset), "never a FIN after lost bytes");
        assert!(bytes.starts_with(&received.bytes), "a prefix, in order");
        assert!(received.bytes.len() < bytes.len());
        ends_by_the_backend(&chain, client).await;
    });
}

#[test]
fn after_its_last_byte_has_been_read() {
    scenario(async {
        let bytes = pattern(64 << 10);
        let (backend, reset) = sends_and_resets(bytes.clone());
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        let read = || chain.inner.tracker().snapshot().iter().map(|view| view.from_backend).sum::<u64>();
        eventually(PATIENCE, || read() == bytes.len() as u64).await;
        reset.send(()).unwrap();
        let received = client.read_to_end().await;
        assert!(received.bytes == bytes, "every byte that was read: {}", received.bytes.len());
        assert_eq!(received.end, Some(Ending::Reset));
        ends_by_the_backend(&chain, client).await;
    });
}
