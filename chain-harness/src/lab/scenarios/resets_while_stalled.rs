//! Clients reset while the backend takes nothing.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "resets-while-stalled",
    expected: "clients reset while the backend takes nothing and every buffer is full: both hops notice within a second",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(takes_nothing);
    lab.chain(backend.addr()).await?;
    lab.mark("20 clients send");
    let clients = stalled(lab, 20).await;
    let reset = lab.mark("clients reset");
    clients.into_iter().for_each(Wire::reset);
    lab.settles(reset, AT_ONCE, Law::Departures).await;
    drop(backend);
    Ok(())
}
