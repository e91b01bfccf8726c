//! Clients end first, and wait for a long answer.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "answer-after-fin",
    expected: "clients ask and half-close; the answer, 4 MiB, begins 300 ms later: every byte arrives, and then a FIN",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const SIZE: usize = 4 << 20;
const CLIENTS: usize = 5;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_to_end().await;
        sleep(Duration::from_millis(300)).await;
        wire.try_send(pattern(SIZE)).await.unwrap_or_default();
        wire.half_close().await;
    });
    // It is about bytes: nobody is to be cut while a busy machine has no time for them.
    lab.terms.half_closed = Duration::from_secs(3);
    lab.chain(backend.addr()).await?;
    lab.mark("clients ask and half-close");
    let mut clients = lab.crowd(CLIENTS, REQUEST).await;
    for client in &mut clients {
        client.half_close().await;
    }
    let clients = lab.ends(clients, Duration::from_secs(8)).await;
    every_byte(lab, &clients.iter().map(Wire::received).collect::<Vec<_>>(), SIZE);
    let ended = lab.mark("all have ended");
    drop(clients);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    Ok(())
}
