//! Clients read far more slowly than the backend sends.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-reader",
    expected: "clients read slowly from a backend that sends without end: memory stays bounded, the backend is held back, nobody is cut",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const CLIENTS: usize = 20;
/// Per connection and hop: Envoy's documented default is 1 MiB, and the others have far less.
const MEMORY: u64 = 1 << 20;
/// What kernels may buffer on the way: three connections, and their buffers grow to some MiB.
const AHEAD: usize = 24 << 20;

async fn story(lab: &mut Lab) -> Told {
    let sent = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&sent);
    let backend = Backend::serving(move |mut wire| {
        let counted = Arc::clone(&counted);
        async move {
            let piece = vec![b'x'; 64 * 1024];
            while wire.try_send(&piece).await.is_ok() {
                counted.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    });
    lab.chain(backend.addr()).await?;
    lab.mark("20 clients read 160 KiB/s each");
    let clients = lab.crowd(CLIENTS, REQUEST).await;
    let clients = all_together(clients.into_iter().map(read_slowly)).await;
    let read: usize = clients.iter().map(|client| client.received().bytes.len()).sum();
    let cut = clients.iter().filter(|client| client.received().end.is_some()).count();
    let ahead = sent.load(Ordering::Relaxed).saturating_sub(read) / CLIENTS;
    lab.note(format!("the backend is {} KiB ahead of each client", ahead / 1024));
    lab.check(Law::Memory, ahead < AHEAD, || format!("the backend is {ahead} bytes ahead of each client"));
    lab.check(Law::Living, cut == 0, || format!("{cut} of {CLIENTS} clients that read were cut"));
    let grown = lab.grown() / (2 * CLIENTS as u64);
    lab.note(format!("{} KiB a connection and hop", grown / 1024));
    lab.check(Law::Memory, grown < MEMORY, || format!("{grown} bytes of memory a connection and hop"));
    let left = lab.mark("clients reset");
    clients.into_iter().for_each(Wire::reset);
    lab.settles(left, AT_ONCE, Law::Departures).await;
    drop(backend);
    Ok(())
}

/// 16 KiB ten times a second, for three seconds.
async fn read_slowly(mut client: Wire) -> Wire {
    for _ in 0..30 {
        client.read_some().await;
        sleep(Duration::from_millis(100)).await;
    }
    client
}
