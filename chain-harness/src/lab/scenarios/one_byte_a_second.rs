//! The backend answers a byte a second.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "one-byte-a-second",
    expected: "the backend sends one byte a second for twice the idle deadline: nobody is cut",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const BYTES: usize = 5;

async fn story(lab: &mut Lab) -> Told {
    lab.terms.idle = Duration::from_millis(2500);
    let backend = Backend::serving(|mut wire| async move {
        wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        for _ in 0..BYTES {
            sleep(Duration::from_secs(1)).await;
            wire.try_send("x").await.unwrap_or_default();
        }
        wire.half_close().await;
        wire.read_to_end().await;
    });
    lab.chain(backend.addr()).await?;
    lab.mark("50 clients ask");
    let clients = lab.crowd(50, REQUEST).await;
    let clients = lab.ends(clients, Duration::from_secs(7)).await;
    let cut = clients.iter().filter(|client| client.received().bytes.len() < BYTES).count();
    lab.check(Law::Living, cut == 0, || format!("{cut} of 50 living connections were cut"));
    let ended = lab.mark("all have ended");
    drop(clients);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    Ok(())
}
