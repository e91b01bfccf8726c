//! Clients who have said nothing close while the backend is being dialled.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "leaves-while-dialling",
    expected: "100 clients close, having said nothing, while the backend is being dialled: the dial is given up within half a second",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let hole = BlackHole::open().await;
    // Long enough that it cannot be the deadline that ends them.
    lab.terms.connect = Duration::from_secs(4);
    lab.chain(hole.addr()).await?;
    lab.mark("100 clients come");
    let clients = lab.crowd(100, "").await;
    let dialling = |sample: &Sample| sample.inner.states.get("syn-sent") == Some(&100);
    if !lab.until(Duration::from_secs(2), dialling).await {
        lab.note("the inner hop was not dialling for all".to_owned());
    }
    let left = lab.mark("clients close");
    clients.into_iter().for_each(drop);
    lab.settles(left, ABANDONED, Law::Departures).await;
    Ok(())
}
