//! The outer hop cannot reach the inner one, which neither accepts nor refuses: its own deadline, and its own clients.

use std::time::Duration;

use chain_harness::{BlackHole, Hop, PATIENCE, Wire, config, scenario};
use proxy_conn::{Cause, Phase};

fn outer(hole: &BlackHole, deadline: &str) -> Hop {
    Hop::start(&config::outer(&format!("timeouts.connection_timeout = \"{deadline}\""), &[&hole.addr()]))
}

#[test]
fn clients_that_wait_are_reset_at_the_deadline() {
    scenario(async {
        let hole = BlackHole::open().await;
        let hop = outer(&hole, "1s");
        let mut client = Wire::connect(hop.addr()).await;
        assert!(client.read_to_end().await.is_only_a_reset());
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.phase), (Cause::DialTimeout, Phase::Dial));
        assert!(end.lifetime >= Duration::from_millis(950), "{:?}", end.lifetime);
        hop.settles().await;
    });
}

#[test]
fn clients_that_leave_take_their_dials_with_them() {
    scenario(async {
        let hole = BlackHole::open().await;
        let hop = outer(&hole, "9s");
        let leaves: [(fn(Wire), Cause); 2] = [(drop, Cause::ClientLeft), (Wire::reset, Cause::ClientReset)];
        for (n, (leave, expected)) in leaves.into_iter().enumerate() {
            let client = Wire::connect(hop.addr()).await;
            hop.has_in(Phase::Dial, 1).await;
            leave(client);
            hop.settles_within(Duration::from_secs(3)).await;
            assert_eq!(hop.ended(n + 1).await.remove(n).cause, expected);
        }
        hop.settles_within(PATIENCE).await;
    });
}
