//! A backend that refuses again and again is left alone after so many dials in a row, as long as there is another one, and is
//! used again soon after it is back, however long it is to be left alone.

use std::net::TcpListener;
use std::time::Duration;

use chain_harness::{Backend, Chain, Wire, refuses, scenario};
use proxy_conn::Cause;
use tokio::time::Instant;

const FAILURES: usize = 3;
const BREAKER: &str = r#"breaker = { failures_in_a_row = 3, cool_down = "1m", longest_cool_down = "1m" }"#;
/// A target is tried every 0.9 s; the rest is for a machine that does other things too.
const LATEST: Duration = Duration::from_secs(2);

async fn is_turned_away(chain: &Chain, so_far: usize) -> Cause {
    let mut client = chain.connect().await;
    assert!(client.read_to_end().await.is_only_a_reset());
    chain.inner.ended(so_far).await.remove(so_far - 1).cause
}

#[test]
fn from_the_nth_in_a_row_on_while_another_one_is_there() {
    scenario(async {
        let target = refuses();
        let other = Backend::source(b"other");
        let chain = Chain::with(BREAKER, BREAKER, &[&target, &other.addr()]);
        let said = async |_| chain.connect().await.read_to_end().await.text();
        for n in 0..4 * FAILURES {
            assert_eq!(said(n).await, "other", "nobody is turned away");
        }
        // It is there again, and is found by the proxy itself.
        let backend = Backend::on(TcpListener::bind(target).unwrap(), answer);
        let back = Instant::now();
        while said(0).await != "hello" {
            assert!(back.elapsed() < LATEST);
        }
        drop(backend);
        chain.settles().await;
    });
}

#[test]
fn not_while_it_is_the_only_one() {
    scenario(async {
        let target = refuses();
        let chain = Chain::with(BREAKER, BREAKER, &[&target]);
        for n in 1..=3 * FAILURES {
            assert_eq!(is_turned_away(&chain, n).await, Cause::DialRefused, "{n}");
        }
        let backend = Backend::on(TcpListener::bind(target).unwrap(), answer);
        for _ in 0..2 {
            assert_eq!(chain.connect().await.read_to_end().await.text(), "hello");
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
