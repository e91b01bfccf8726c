//! The outer hop has no descriptors left.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "out-of-files",
    expected: "100 clients come to an outer hop that may open 40 more files: it does not spin, and serves again once they have gone",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

const LOOKED_ON: Duration = Duration::from_secs(2);
/// A quarter of a processor is a spin that was slowed down.
const PROCESSOR: Duration = Duration::from_millis(500);

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain(backend.addr()).await?;
    drop(greeted(lab, 1).await);
    sleep(Duration::from_millis(200)).await;
    lab.only_files_more(Hop::Outer, 40)?;
    lab.mark("100 clients come, 40 files are left");
    let clients = lab.crowd(100, "hello").await;
    sleep(Duration::from_millis(300)).await;
    let before = lab.outer().usage().cpu;
    sleep(LOOKED_ON).await;
    let used = lab.outer().usage().cpu.saturating_sub(before);
    lab.note(format!("{} ms of processor time in 2 s", used.as_millis()));
    lab.check(Law::Processor, used < PROCESSOR, || format!("{used:?} of processor time in {LOOKED_ON:?}"));
    let left = lab.mark("they leave");
    clients.into_iter().for_each(Wire::reset);
    lab.settles(left, AT_ONCE, Law::Departures).await;
    let served = served(lab, 5).await;
    lab.check(Law::Service, served == 5, || {
        format!("{served} of 5 clients served once there are files again")
    });
    Ok(())
}
