//! The only backend is away for a while, and clients go on asking.

use super::*;

pub(super) const ONE_SECOND: Scenario = Scenario {
    name: "backend-away-1s",
    expected: "the backend refuses for 1 s while clients go on asking, and is back: clients are served within 1 s",
    longest: Duration::from_secs(50),
    story: |lab| Box::pin(story(lab, Duration::from_secs(1))),
    ..USUAL
};

pub(super) const TWELVE_SECONDS: Scenario = Scenario {
    name: "backend-away-12s",
    expected: "the same with 12 s",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(story(lab, Duration::from_secs(12))),
    ..USUAL
};

async fn story(lab: &mut Lab, away: Duration) -> Told {
    let addr = refuses();
    lab.chain(addr).await?;
    let listens = || std::net::TcpListener::bind(addr).map_err(|error| format!("{addr} is taken: {error}"));
    let backend = Backend::on(listens()?, gives_back);
    drop(greeted(lab, 10).await);
    lab.mark("the backend goes away");
    backend.stop().await;
    let [asked, served] = lab.asks_for(away).await;
    let backend = Backend::on(listens()?, gives_back);
    let back = lab.mark("it is back");
    lab.serves_again(back, AT_ONCE).await;
    lab.note(format!("{served} of {asked} served meanwhile"));
    let ended = lab.mark("all have gone");
    lab.settles(ended, AT_ONCE, Law::Departures).await;
    drop(backend);
    Ok(())
}

/// An echo.
async fn gives_back(mut wire: Wire) {
    loop {
        let bytes = wire.read_some().await;
        if bytes.is_empty() || wire.try_send(bytes).await.is_err() {
            return wire.half_close().await;
        }
    }
}
