//! The backend accepts, and says nothing.

use super::*;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "silent-backend",
    expected: "the backend reads 100 requests and never answers: all stay until the idle deadline, none beyond",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::serving(deaf);
    lab.chain(backend.addr()).await?;
    let asked = lab.mark("100 clients ask");
    let clients = lab.crowd(100, REQUEST).await;
    let idle = lab.terms.idle;
    let all_open = |sample: &Sample| sample.sockets() == [200, 200];
    let opened = lab.until(AT_ONCE, all_open).await;
    lab.until(idle + GRACE, |sample| !all_open(sample)).await;
    let stayed = lab.elapsed(asked);
    // Clocks are coarse.
    lab.check(Law::Living, opened && stayed + Duration::from_millis(200) > idle, || {
        format!("the first of them was cut after {stayed:?}, before the idle deadline")
    });
    let clients = lab.ends(clients, GRACE).await;
    lab.settles(asked, idle + GRACE, Law::Deadlines).await;
    drop((clients, backend));
    Ok(())
}
