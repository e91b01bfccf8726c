//! The backend resets in the middle of its answer.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "backend-resets-mid-answer",
    expected: "the backend sends half of its answer and resets: the half arrives, and then a reset, so that nobody takes it for the whole",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

/// What is sent before the reset, and how long that is ahead of it: long enough to be read by both hops.
const HALF: usize = 32 * 1024;
const AHEAD: Duration = Duration::from_millis(300);

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        wire.try_send(vec![b'x'; HALF]).await.unwrap_or_default();
        sleep(AHEAD).await;
        wire.reset();
    });
    lab.chain(backend.addr()).await?;
    lab.mark("50 clients ask");
    let clients = lab.crowd(50, REQUEST).await;
    sleep(AHEAD).await;
    let reset = lab.mark("the backend resets");
    let clients = lab.ends(clients, AT_ONCE).await;
    let Ends { fin, .. } = lab.figures.ends;
    lab.check(Law::Ends, fin == 0, || {
        format!("{fin} of 50 clients saw a FIN after half an answer: it looks whole")
    });
    let short = clients.iter().filter(|client| client.received().bytes.len() != HALF).count();
    lab.check(Law::Bytes, short == 0, || format!("{short} of 50 clients did not get all of the half"));
    lab.settles(reset, AT_ONCE, Law::Departures).await;
    drop(clients);
    Ok(())
}
