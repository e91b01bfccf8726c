//! The backend accepts, and resets.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "backend-resets-at-once",
    expected: "the backend resets as soon as it has accepted: the client sees a reset too",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::resets_on_accept();
    lab.chain(backend.addr()).await?;
    let asked = lab.mark("50 clients ask");
    let clients = lab.crowd(50, REQUEST).await;
    let clients = lab.ends(clients, AT_ONCE).await;
    let Ends { fin, .. } = lab.figures.ends;
    lab.check(Law::Ends, fin == 0, || format!("{fin} of 50 clients saw a FIN where the backend reset"));
    lab.settles(asked, AT_ONCE, Law::Departures).await;
    drop(clients);
    Ok(())
}
