//! The backend neither accepts nor refuses, and clients wait.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "black-hole",
    expected: "the backend does not answer a SYN, 100 clients wait: all of it ends at the connect deadline",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let hole = BlackHole::open().await;
    lab.chain(hole.addr()).await?;
    let connect = lab.terms.connect;
    let asked = lab.mark("100 clients ask");
    let clients = lab.crowd(100, REQUEST).await;
    let clients = lab.ends(clients, connect + GRACE).await;
    lab.settles(asked, connect + GRACE, Law::Deadlines).await;
    drop(clients);
    Ok(())
}
