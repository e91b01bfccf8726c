//! Long-lived streams among a crowd that does everything at once.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed",
    expected: "quiet streams with a ping every 3 s live among requests, resets and departures: every ping and request is answered",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const STREAMS: usize = 5;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    lab.mark("5 streams, and a crowd");
    let addr = lab.addr();
    let streams: JoinSet<_> = (0..STREAMS).map(|_| pings(addr)).collect();
    let (mut asked, mut answered) = (0, 0);
    for _ in 0..15 {
        let resetting = lab.crowd(5, "half of a requ").await;
        drop(lab.crowd(5, "").await);
        asked += 10;
        answered += served(lab, 10).await;
        resetting.into_iter().for_each(Wire::reset);
        sleep(Duration::from_millis(300)).await;
    }
    let alive = streams.join_all().await.into_iter().filter(|alive| *alive).count();
    lab.check(Law::Living, alive == STREAMS, || format!("{alive} of {STREAMS} quiet streams lived"));
    lab.check(Law::Service, answered == asked, || format!("{answered} of {asked} requests were answered"));
    let left = lab.mark("all have gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}

/// Three pings, three seconds apart; says whether each came back.
async fn pings(addr: SocketAddr) -> bool {
    let mut stream = Wire::connect(addr).await;
    for n in 1..=3 {
        let sent = stream.try_send("ping").await;
        let back = timeout(AT_ONCE, stream.read_until(|bytes| bytes.len() >= 4 * n)).await;
        if sent.is_err() || !back.is_ok_and(|received| received.end.is_none()) {
            return false;
        }
        if n < 3 {
            sleep(Duration::from_secs(3)).await;
        }
    }
    true
}
