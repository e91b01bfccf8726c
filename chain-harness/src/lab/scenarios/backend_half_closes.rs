//! The backend half-closes, and clients never speak again.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "backend-half-closes",
    expected: "the backend half-closes, and 100 clients stay silent for ever: the half-closed deadline ends both hops",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.half_close().await;
        deaf(wire).await;
    });
    lab.chain(backend.addr()).await?;
    let ended = lab.mark("100 clients come, the backend half-closes");
    let clients = lab.crowd(100, REQUEST).await;
    let allowed = lab.terms.half_closed + GRACE;
    // They have seen the FIN, and stay.
    let clients = lab.ends(clients, AT_ONCE).await;
    lab.settles(ended, allowed, Law::Deadlines).await;
    drop((clients, backend));
    Ok(())
}
