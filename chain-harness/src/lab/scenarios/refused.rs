//! The backend refuses.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "refused",
    expected: "the backend refuses 100 clients: each has an end at once",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    lab.chain(refuses()).await?;
    let asked = lab.mark("100 clients ask");
    let clients = lab.crowd(100, REQUEST).await;
    let clients = lab.ends(clients, AT_ONCE).await;
    lab.settles(asked, AT_ONCE, Law::Deadlines).await;
    drop(clients);
    Ok(())
}
