//! Half a PROXY header comes to the inner hop, a byte at a time.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-header",
    expected: "50 peers send the inner hop a PROXY header a byte at a time and never end it: the header deadline ends them, and others are served meanwhile",
    needs_headers: true,
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const HEADER: &str = "PROXY TCP4 127.0.0.1 127.0.0.1 40000 80";

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::answers("hello");
    lab.chain(backend.addr()).await?;
    let to = lab.inner_addr();
    let begun = lab.mark("50 peers begin a header");
    let slow = all_together((0..50).map(move |_| async move { Wire::connect(to).await })).await;
    let dripping = slow.into_iter().map(|mut peer| async move {
        for byte in HEADER.bytes() {
            if peer.try_send([byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(150)).await;
        }
        peer
    });
    let dripping: JoinSet<_> = dripping.collect();
    sleep(Duration::from_millis(300)).await;
    let client = lab.crowd(1, REQUEST).await;
    let client = lab.ends(client, AT_ONCE).await;
    let served = client.iter().all(|client| client.received().text().ends_with("hello"));
    lab.check(Law::Service, served, || "a client behind the outer hop was not served meanwhile".to_owned());
    drop(client);
    let allowed = lab.terms.header + GRACE;
    lab.settles(begun, allowed, Law::Deadlines).await;
    drop(dripping);
    Ok(())
}
