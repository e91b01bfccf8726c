//! Clients who have asked reset while the backend is being dialled.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "resets-while-dialling",
    expected: "100 clients ask, and reset while the backend is being dialled: the dial is given up within half a second",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let hole = BlackHole::open().await;
    // Long enough that it cannot be the deadline that ends them.
    lab.terms.connect = Duration::from_secs(4);
    lab.chain(hole.addr()).await?;
    lab.mark("100 clients come");
    let clients = lab.crowd(100, REQUEST).await;
    let dialling = |sample: &Sample| sample.inner.states.get("syn-sent") == Some(&100);
    if !lab.until(Duration::from_secs(2), dialling).await {
        lab.note("the inner hop was not dialling for all".to_owned());
    }
    let left = lab.mark("clients reset");
    clients.into_iter().for_each(Wire::reset);
    lab.settles(left, ABANDONED, Law::Departures).await;
    Ok(())
}
