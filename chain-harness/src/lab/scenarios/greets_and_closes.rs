//! The backend speaks first, and closes at once.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "greets-and-closes",
    expected: "the backend greets and closes at once, 300 times: every client gets the whole greeting, nothing is left",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        // Dropped: closed both ways, in the same instant.
        wire.try_send("220 hello\r\n").await.unwrap_or_default();
    });
    lab.chain(backend.addr()).await?;
    lab.mark("300 clients come");
    let mut lost = 0;
    for _ in 0..6 {
        let clients = lab.crowd(50, "").await;
        let clients = lab.ends(clients, Duration::from_secs(2)).await;
        lost += clients.iter().filter(|client| client.received().text() != "220 hello\r\n").count();
    }
    lab.check(Law::Bytes, lost == 0, || format!("{lost} of 300 clients did not get the greeting"));
    let left = lab.mark("the last one has gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}
