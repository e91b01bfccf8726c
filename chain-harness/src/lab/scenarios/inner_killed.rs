//! The inner hop is killed, and comes back.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "inner-killed",
    expected: "the inner hop is killed under 200 connections, whose clients stay: the kernel ends them with a FIN, so the half-closed deadline empties the outer hop; it serves again when the inner one is back",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    lab.mark("200 clients come");
    let clients = greeted(lab, 200).await;
    let killed = lab.mark("the inner hop is killed");
    lab.kill_inner();
    let clients = lab.ends(clients, AT_ONCE).await;
    let allowed = lab.terms.half_closed + GRACE;
    lab.hops_settle(Hops::Outer, killed, allowed, Law::Deadlines).await;
    drop(clients);
    lab.restart_inner(backend.addr()).await?;
    lab.mark("it is back");
    let served = served(lab, 20).await;
    lab.check(Law::Service, served == 20, || format!("{served} of 20 clients served once it is back"));
    Ok(())
}
