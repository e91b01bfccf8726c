//! The backend has sent everything and ended before the client begins to read.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "late-reader",
    expected: "the backend sends 5 MiB and ends; the client begins to read 600 ms later: every byte arrives",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const SIZE: usize = 5 << 20;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        wire.try_send(pattern(SIZE)).await.unwrap_or_default();
        wire.half_close().await;
        wire.read_to_end().await;
    });
    lab.chain(backend.addr()).await?;
    lab.mark("5 clients ask");
    let clients = lab.crowd(5, REQUEST).await;
    sleep(Duration::from_millis(600)).await;
    lab.mark("they begin to read");
    let clients = lab.ends(clients, Duration::from_secs(6)).await;
    every_byte(lab, &clients.iter().map(Wire::received).collect::<Vec<_>>(), SIZE);
    let ended = lab.mark("all have ended");
    drop(clients);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    Ok(())
}
