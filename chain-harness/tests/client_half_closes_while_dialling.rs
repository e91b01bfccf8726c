//! The client has sent its request and ended (a half-close) while the backend is still being dialled: it is served.

use chain_harness::{Backend, BlackHole, Chain, Ending, scenario};
use proxy_conn::{Cause, Phase};

#[test]
fn a_slow_backend_gets_the_request_and_its_answer_comes_back() {
    scenario(async {
        let hole = BlackHole::open().await;
        let chain = Chain::to(hole.addr());
        let mut client = chain.connect().await;
        client.send("request").await;
        client.half_close().await;
        chain.inner.has_in(Phase::Dial, 1).await;
        let backend = hole.opens_up(|mut wire| async move {
            let request = wire.read_to_end().await.text();
            wire.try_send(format!("answer to {request}")).await.unwrap_or_default();
            wire.half_close().await;
        });
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("answer to request", Some(Ending::Fin)));
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!(end.cause, Cause::Finished);
        assert!(end.lifetime.as_millis() > 500, "the dial was slow: {:?}", end.lifetime);
        drop(backend);
        chain.outer.empties(chain_harness::PATIENCE).await;
    });
}

/// More than a hop keeps while it dials: it stops reading, and the rest comes when somebody takes it.
#[test]
fn a_slow_backend_gets_a_large_request_whole() {
    const LARGE: usize = 8 << 20;
    scenario(async {
        let hole = BlackHole::open().await;
        let chain = Chain::to(hole.addr());
        let mut client = chain.connect().await;
        let asks = async {
            client.send(vec![7; LARGE]).await;
            client.half_close().await;
            client.read_to_end().await
        };
        let opens = async {
            chain.inner.has_in(Phase::Dial, 1).await;
            hole.opens_up(|mut wire| async move {
                let count = wire.read_to_end().await.bytes.len();
                wire.try_send(count.to_string()).await.unwrap_or_default();
                wire.half_close().await;
            })
        };
        let (received, backend) = tokio::join!(asks, opens);
        assert_eq!((received.text(), received.end), (LARGE.to_string(), Some(Ending::Fin)));
        drop(client);
        assert_eq!(chain.inner.the_end().await.cause, Cause::Finished);
        drop(backend);
        chain.outer.empties(chain_harness::PATIENCE).await;
    });
}

#[test]
fn a_second_target_gets_the_request_when_the_first_is_a_black_hole() {
    scenario(async {
        let (hole, backend) = (BlackHole::open().await, Backend::sink());
        let inner = r#"
            [timeouts]
            connection_timeout = "2s"
        "#;
        let chain = Chain::with("", inner, &[&hole.addr(), &backend.addr()]);
        let mut client = chain.connect().await;
        client.send("request").await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("7", Some(Ending::Fin)), "the sink counts");
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.target), (Cause::Finished, Some(backend.addr().to_string())));
        assert!((240..1900).contains(&end.lifetime.as_millis()), "not the deadline: {:?}", end.lifetime);
        chain.settles().await;
    });
}
