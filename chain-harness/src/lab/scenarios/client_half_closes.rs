//! Clients half-close, and the backend never speaks again.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "client-half-closes",
    expected: "100 clients half-close, and the backend stays silent for ever: the half-closed deadline ends both hops",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(deaf);
    lab.chain(backend.addr()).await?;
    lab.mark("100 clients come");
    let mut clients = lab.crowd(100, REQUEST).await;
    lab.until(AT_ONCE, |sample| sample.sockets() == [200, 200]).await;
    let ended = lab.mark("clients half-close");
    for client in &mut clients {
        client.half_close().await;
    }
    let allowed = lab.terms.half_closed + GRACE;
    let clients = lab.ends(clients, allowed).await;
    lab.settles(ended, allowed, Law::Deadlines).await;
    drop((clients, backend));
    Ok(())
}
