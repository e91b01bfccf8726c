//! A client takes a long answer so slowly that a kernel's buffer takes nothing for longer than any deadline.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-reader-mid-answer",
    expected: "the backend sends without end, clients read 28 KiB/s without a pause for 15 s: nobody is cut, though buffers take nothing for longer than the idle deadline",
    longest: Duration::from_secs(40),
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const RATE: usize = 28 << 10;
const CLIENTS: usize = 5;
/// Four times the idle deadline, nearly.
const READS: Duration = Duration::from_secs(15);

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        // Without the wire's patience: it waits for longer.
        let piece = vec![b'x'; 64 * 1024];
        while wire.write_all(&piece).await.is_ok() {}
    });
    lab.chain(backend.addr()).await?;
    lab.mark("5 clients read 28 KiB/s each");
    let clients = lab.crowd(CLIENTS, REQUEST).await;
    let clients = all_together(clients.into_iter().map(|client| reads_steadily(client, RATE, READS))).await;
    let received: Vec<_> = clients.iter().map(Wire::received).collect();
    let cut = received.iter().filter(|received| received.end.is_some()).count();
    lab.figures.ends = Ends::of(&received);
    let least = received.iter().map(|received| received.bytes.len()).min().unwrap_or_default();
    lab.check(Law::Living, cut == 0, || {
        format!("{cut} of {CLIENTS} clients were cut that read steadily, one after {} KiB", least / 1024)
    });
    let left = lab.mark("clients reset");
    clients.into_iter().for_each(Wire::reset);
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}
