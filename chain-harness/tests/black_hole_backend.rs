//! The backend neither accepts nor refuses, and clients wait: the root cause of connections that pile up.

use std::time::Duration;

use chain_harness::{BlackHole, Chain, scenario};
use proxy_conn::{By, Cause, Phase};
use tokio::time::Instant;

const CLIENTS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(1);
/// How long after a deadline everything it is about has to be gone: before the outer hop's own.
const GRACE: Duration = Duration::from_secs(5);

#[test]
fn every_dial_ends_at_its_deadline_and_nothing_is_left() {
    scenario(async {
        let hole = BlackHole::open().await;
        let inner = r#"
            [timeouts]
            connection_timeout = "1s"
        "#;
        let chain = Chain::with("", inner, &[&hole.addr()]);
        let first = Instant::now();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(chain.connect().await);
        }
        let last = Instant::now();
        for mut client in clients {
            assert!(client.read_to_end().await.is_only_a_reset());
        }
        assert!(first.elapsed() >= DEADLINE);
        chain.settles_within((DEADLINE + GRACE).saturating_sub(last.elapsed())).await;
        for end in chain.inner.ended(CLIENTS).await {
            assert_eq!((end.cause, end.phase, end.by), (Cause::DialTimeout, Phase::Dial, By::Backend));
            // How long this attempt took; on a busy machine it begins a little later than the deadline does.
            let names = format!("{}: timed out after ", hole.addr());
            assert!(
                end.detail.contains(&names) && end.detail.contains("connection_timeout 1s"),
                "{}",
                end.detail
            );
        }
        for end in chain.outer.ended(CLIENTS).await {
            assert_eq!(
                (end.cause, end.by),
                (Cause::BackendReset, By::Backend),
                "at once, not at its own deadline"
            );
        }
    });
}
