//! Everybody leaves at once.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mass-disconnect",
    expected: "500 clients leave in the same moment, half of them by a reset: nothing is left a second later",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    lab.mark("500 clients come");
    let mut clients = greeted(lab, 500).await;
    let left = lab.mark("all leave");
    clients.split_off(250).into_iter().for_each(Wire::reset);
    drop(clients);
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}
