//! A backend that refuses again and again is left alone after so many dials in a row, and tried again in time.

use std::net::TcpListener;
use std::time::Duration;

use chain_harness::{Backend, Chain, Wire, refuses, scenario};
use proxy_conn::Cause;

const FAILURES: usize = 3;
const BREAKER: &str =
    r#"breaker = { failures_in_a_row = 3, cool_down = "400ms", longest_cool_down = "400ms" }"#;

async fn is_turned_away(chain: &Chain, so_far: usize) -> Cause {
    let mut client = chain.connect().await;
    assert!(client.read_to_end().await.is_only_a_reset());
    chain.inner.ended(so_far).await.remove(so_far - 1).cause
}

#[test]
fn from_the_nth_in_a_row_on_until_it_is_back() {
    scenario(async {
        let target = refuses();
        let chain = Chain::with(BREAKER, BREAKER, &[&target]);
        for n in 1..=FAILURES {
            assert_eq!(is_turned_away(&chain, n).await, Cause::DialRefused, "{n}");
        }
        // It is there again, and nobody has seen it yet.
        let backend = Backend::on(TcpListener::bind(target).unwrap(), answer);
        assert_eq!(is_turned_away(&chain, FAILURES + 1).await, Cause::TargetsDown);
        assert_eq!(backend.accepted(), 0, "not even tried");
        tokio::time::sleep(Duration::from_millis(400)).await;
        for _ in 0..2 {
            let mut client = chain.connect().await;
            assert_eq!(client.read_to_end().await.text(), "hello");
        }
        drop(backend);
        chain.outer.empties(Duration::from_secs(1)).await;
        chain.inner.empties(Duration::from_secs(1)).await;
    });
}

/// One that fails less often in a row than that is never left alone.
#[test]
fn not_when_one_in_between_succeeds() {
    scenario(async {
        let target = refuses();
        let chain = Chain::with(BREAKER, BREAKER, &[&target]);
        let mut ends = 0;
        for _ in 0..3 {
            for _ in 1..FAILURES {
                ends += 1;
                assert_eq!(is_turned_away(&chain, ends).await, Cause::DialRefused);
            }
            let backend = Backend::on(TcpListener::bind(target).unwrap(), answer);
            let mut client = chain.connect().await;
            assert_eq!(client.read_to_end().await.text(), "hello");
            ends += 1;
            drop(client);
            backend.stop().await;
            assert_eq!(chain.inner.ended(ends).await.remove(ends - 1).cause, Cause::Finished);
        }
        chain.settles().await;
    });
}

async fn answer(mut wire: Wire) {
    wire.try_send("hello").await.unwrap_or_default();
    wire.half_close().await;
    wire.read_to_end().await;
}
