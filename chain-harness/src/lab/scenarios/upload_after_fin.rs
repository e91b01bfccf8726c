//! The backend ends first, and reads on.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "upload-after-fin",
    expected: "the backend half-closes; clients then send 4 MiB: every byte arrives, and then a FIN",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const SIZE: usize = 4 << 20;
const CLIENTS: usize = 5;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::half_closes();
    // It is about bytes: nobody is to be cut while a busy machine has no time for them.
    lab.terms.half_closed = Duration::from_secs(3);
    lab.chain(backend.addr()).await?;
    lab.mark("the backend half-closes");
    let clients = lab.crowd(CLIENTS, "").await;
    let sent = clients.into_iter().map(|mut client| async move {
        client.read_to_end().await;
        sleep(Duration::from_millis(300)).await;
        // Somebody may have ended both ways at the backend's FIN, which is seen at the backend.
        client.try_send(pattern(SIZE)).await.unwrap_or_default();
        client.half_close().await;
        client
    });
    let clients = all_together(sent).await;
    let all_ended =
        |visits: &[Received]| visits.len() == CLIENTS && visits.iter().all(|visit| visit.end.is_some());
    let deadline = Instant::now() + Duration::from_secs(3);
    while !all_ended(&backend.visits()) && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    every_byte(lab, &backend.visits(), SIZE);
    let ended = lab.mark("all have ended");
    drop(clients);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    Ok(())
}
