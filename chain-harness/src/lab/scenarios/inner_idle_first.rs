//! The idle deadline of the inner hop is the shorter one.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "inner-idle-first",
    expected: "100 connections fall silent; the inner hop's idle deadline is 2 s, the outer hop's 8 s: both end at the inner hop's",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    let change = |outer: &mut HopPlan, inner: &mut HopPlan| {
        (outer.idle, inner.idle) = (Duration::from_millis(8000), Duration::from_millis(2000));
    };
    lab.chain_with(backend.addr(), change).await?;
    lab.mark("100 clients come");
    let clients = greeted(lab, 100).await;
    let silent = lab.mark("they fall silent");
    let allowed = Duration::from_secs(2) + GRACE;
    let clients = lab.ends(clients, allowed).await;
    lab.settles(silent, allowed, Law::Deadlines).await;
    drop((clients, backend));
    Ok(())
}
