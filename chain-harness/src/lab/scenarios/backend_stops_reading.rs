//! The backend takes nothing more.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "backend-stops-reading",
    expected: "clients send on and on, the backend reads nothing: the idle deadline (a stall is silence) ends both hops",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(takes_nothing);
    lab.chain(backend.addr()).await?;
    lab.mark("20 clients send");
    let clients = stalled(lab, 20).await;
    let stalled = lab.mark("nothing more is taken");
    let allowed = lab.terms.idle + GRACE;
    let clients = lab.ends(clients, allowed).await;
    lab.settles(stalled, allowed, Law::Deadlines).await;
    drop((clients, backend));
    Ok(())
}
