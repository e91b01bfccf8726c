//! The backend has sent everything and ended, and the client takes its time.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-reader-behind-fin",
    expected: "the backend sends 3 MiB and ends; clients read 128 KiB/s without a pause, far beyond the half-closed deadline: every byte arrives, and then a FIN",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const SIZE: usize = 3 << 20;
const RATE: usize = 128 << 10;
const CLIENTS: usize = 3;
/// They need 24 s.
const LONGEST: Duration = Duration::from_secs(32);

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        wire.try_send(pattern(SIZE)).await.unwrap_or_default();
        wire.half_close().await;
        wire.read_for_ever().await;
    });
    lab.chain(backend.addr()).await?;
    lab.mark("clients read 128 KiB/s each");
    let clients = lab.crowd(CLIENTS, REQUEST).await;
    let clients = all_together(clients.into_iter().map(|client| reads_steadily(client, RATE, LONGEST))).await;
    let received: Vec<_> = clients.iter().map(Wire::received).collect();
    let cut =
        received.iter().filter(|received| received.bytes.len() < SIZE && received.end.is_some()).count();
    lab.check(Law::Living, cut == 0, || format!("{cut} of {CLIENTS} clients were cut that read steadily"));
    every_byte(lab, &received, SIZE);
    lab.figures.ends = Ends::of(&received);
    let ended = lab.mark("all have ended");
    drop(clients);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    Ok(())
}
