//! Clients connect and leave without a byte, one after the other.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "connect-and-leave",
    expected: "1000 clients connect and leave without a byte, 50 at a time: nothing is left a second later",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    lab.mark("1000 clients come and go");
    for _ in 0..20 {
        drop(lab.crowd(50, "").await);
    }
    let left = lab.mark("the last one has gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    let [outer, inner] = [lab.addr(), lab.inner_addr()].map(|addr| Tcp::read().time_wait(addr.port()));
    lab.note(format!("{outer} + {inner} in TIME-WAIT on the listening ports"));
    Ok(())
}
