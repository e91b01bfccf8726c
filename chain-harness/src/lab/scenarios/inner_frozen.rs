//! The inner hop stops without a word, and its connections stay.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "inner-frozen",
    expected: "the inner hop is frozen (SIGSTOP) under 50 connections, and 50 more come: the idle deadline empties the outer hop; thawed, it serves again",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.terms.idle = Duration::from_millis(2500);
    lab.chain(backend.addr()).await?;
    lab.mark("50 clients come");
    let mut clients = greeted(lab, 50).await;
    lab.signal(Hop::Inner, Signal::STOP);
    let frozen = lab.mark("the inner hop freezes, 50 more come");
    clients.extend(lab.crowd(50, REQUEST).await);
    let allowed = lab.terms.idle + GRACE;
    let clients = lab.ends(clients, allowed).await;
    lab.hops_settle(Hops::Outer, frozen, allowed, Law::Deadlines).await;
    drop(clients);
    lab.signal(Hop::Inner, Signal::CONT);
    lab.mark("it thaws");
    let served = served(lab, 20).await;
    lab.check(Law::Service, served == 20, || format!("{served} of 20 clients served once it is back"));
    Ok(())
}
