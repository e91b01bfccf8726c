//! Clients have said everything, and wait for the answer, while the backend is still being dialled.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "half-close-while-dialling",
    expected: "clients ask and half-close while the backend is being dialled, which then answers: every answer arrives",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

/// A SYN that was dropped is sent again after a second, so each has to be dialled well before the deadline.
const CLIENTS: usize = 5;
const APART: Duration = Duration::from_millis(80);

async fn story(lab: &mut Lab) -> Told {
    let hole = BlackHole::open().await;
    lab.terms.connect = Duration::from_secs(4);
    // A half-closed client is not silent on purpose here.
    lab.terms.half_closed = Duration::from_secs(3);
    lab.chain(hole.addr()).await?;
    lab.mark("clients ask and half-close");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.extend(lab.crowd(1, REQUEST).await);
        sleep(APART).await;
    }
    for client in &mut clients {
        client.half_close().await;
    }
    sleep(APART).await;
    lab.mark("the backend opens up");
    let backend = hole.opens_up(answer);
    let clients = lab.ends(clients, Duration::from_secs(6)).await;
    let whole = clients.iter().filter(|client| client.received().text() == "answer").count();
    lab.check(Law::Service, whole == CLIENTS, || format!("{} of {CLIENTS} answers lost", CLIENTS - whole));
    let ended = lab.mark("all have ended");
    drop(clients);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    drop(backend);
    Ok(())
}

async fn answer(mut wire: Wire) {
    wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
    wire.try_send("answer").await.unwrap_or_default();
    wire.half_close().await;
    wire.read_to_end().await;
}
