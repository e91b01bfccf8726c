//! The hop in the middle has no descriptors left.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "middle-out-of-files",
    expected: "100 clients come while the inner hop may open 40 more files, the outer one has enough: whom it serves already is not cut; when they leave, newcomers are served within half a second",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

/// With what comes before and after, less than the idle deadline.
const SHORTAGE: Duration = Duration::from_secs(2);
/// The half second, and three looks.
const AGAIN: Duration = Duration::from_millis(650);
const STREAMS: usize = 5;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    let mut streams = greeted(lab, STREAMS).await;
    lab.only_files_more(Hop::Inner, 40)?;
    lab.mark("100 clients come, 40 files are left");
    let clients = lab.crowd(100, "hello").await;
    let asked = lab.asks_for(SHORTAGE).await;
    // Before they have been silent for too long.
    let mut alive = 0;
    for stream in &mut streams {
        let sent = stream.try_send("again").await;
        drop(timeout(AT_ONCE, stream.read_until(|bytes| bytes.len() >= 10)).await);
        alive += usize::from(sent.is_ok() && stream.received().text() == "helloagain");
    }
    lab.check(Law::Living, alive == STREAMS, || {
        format!("{} of {STREAMS} were cut that were there before the shortage", STREAMS - alive)
    });
    let left = lab.mark("they leave");
    clients.into_iter().for_each(Wire::reset);
    lab.serves_again(left, AGAIN).await;
    lab.note(format!("{} of {} served in the shortage", asked[1], asked[0]));
    let ended = lab.mark("all have gone");
    drop(streams);
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    Ok(())
}
