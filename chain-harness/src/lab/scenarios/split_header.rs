//! A PROXY header comes in two segments.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "split-header",
    expected: "a PROXY header, v1 or v2, comes in two segments, split at every byte: it is understood, and what follows is delivered",
    needs_headers: true,
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    let to = lab.inner_addr();
    lab.mark("headers in two segments");
    for (version, header) in [("v1", V1), ("v2", V2)] {
        let splits = (1..header.len()).map(move |at| async move { is_understood(to, header, at).await });
        let understood = together(splits).await;
        let (of, refused) = (understood.len(), understood.iter().filter(|understood| !**understood).count());
        lab.check(Law::Bytes, refused == 0, || {
            format!("{refused} of {of} splits of a {version} header refused")
        });
    }
    let left = lab.mark("all have gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}

const V1: &[u8] = b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x9c\x40\x00\x50";

async fn is_understood(to: SocketAddr, header: &[u8], at: usize) -> bool {
    let (first, rest) = header.split_at(at);
    let mut peer = Wire::connect(to).await;
    let sent = peer.try_send(first).await;
    // Long enough for the first part to be read on its own.
    sleep(Duration::from_millis(100)).await;
    let sent = sent.is_ok() && peer.try_send([rest, b"hello"].concat()).await.is_ok();
    sent && timeout(AT_ONCE, peer.read_until(|bytes| bytes.len() >= 5)).await.is_ok()
        && peer.received().text() == "hello"
}
