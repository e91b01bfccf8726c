//! Clients reset in the middle of a transfer.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "client-resets",
    expected: "50 clients reset in the middle of a transfer: the backend sees a reset within a second",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    lab.mark("50 clients talk");
    let mut clients = lab.crowd(50, "hello").await;
    for client in &mut clients {
        client.read_until(|bytes| bytes.len() >= 5).await;
        client.try_send("the beginning of something").await.unwrap_or_default();
    }
    let reset = lab.mark("clients reset");
    clients.into_iter().for_each(Wire::reset);
    lab.settles(reset, AT_ONCE, Law::Departures).await;
    let seen = Ends::of(&backend.visits());
    lab.note(format!("the backend saw {seen}"));
    let fin = seen.fin;
    lab.check(Law::Ends, fin == 0, || {
        format!("the backend saw {fin} FIN of 50: what was aborted looks whole")
    });
    Ok(())
}
