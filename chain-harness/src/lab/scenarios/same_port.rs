//! A client comes back from the same address and port.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "same-port",
    expected: "a client comes back from the same port again and again, after it has reset and after the backend has ended: it is served each time",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const ROUNDS: usize = 20;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::answers("hello");
    lab.chain(backend.addr()).await?;
    lab.mark("20 times after a reset");
    let port = free_port();
    let mut served = [0, 0];
    for _ in 0..ROUNDS {
        if let Some(client) = once(lab.addr(), port).await {
            served[0] += 1;
            client.reset();
        }
    }
    lab.mark("20 times after the backend's end");
    let port = free_port();
    for _ in 0..ROUNDS {
        served[1] += usize::from(once(lab.addr(), port).await.is_some());
    }
    lab.check(Law::Service, served == [ROUNDS; 2], || {
        format!(
            "served {} of {ROUNDS} times after a reset, {} of {ROUNDS} after an end",
            served[0], served[1]
        )
    });
    let left = lab.mark("it has gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}

/// A request from `port`, if it is answered.
async fn once(to: SocketAddr, port: u16) -> Option<Wire> {
    let mut client = Wire::try_connect_from((Ipv4Addr::LOCALHOST, port).into(), to).await.ok()?;
    client.try_send(REQUEST).await.ok()?;
    timeout(AT_ONCE, client.read_to_end()).await.ok()?;
    client.received().text().ends_with("hello").then_some(client)
}
