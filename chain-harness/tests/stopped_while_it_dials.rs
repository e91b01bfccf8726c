//! A proxy that stands still (a container that is paused, a machine that is stopped) while it dials, for longer than a dial may
//! take: the backend that answered meanwhile answered in time.

use std::time::Duration;

use chain_harness::{BlackHole, PATIENCE, Smartproxy, Wire, config, eventually};

const SHORT: &str = "[timeouts]\nconnection_timeout = \"2s\"\n[log]\nformat = \"json\"\n";

/// Longer than `SHORT` says.
const STILL: Duration = Duration::from_millis(2_500);

/// A proxy that stands still while it dials `hole` for this client.
async fn frozen(hole: &BlackHole) -> (Smartproxy, Wire) {
    let proxy = Smartproxy::run(&config::single(SHORT, &[&hole.addr()])).await;
    let before = proxy.process.descriptors();
    let client = Wire::connect(proxy.addr()).await;
    eventually(PATIENCE, || proxy.process.descriptors() >= before + 2).await;
    proxy.process.freeze().await;
    (proxy, client)
}

#[test]
fn a_backend_that_took_it_meanwhile_is_served() {
    Smartproxy::scenario(async {
        let hole = BlackHole::open().await;
        let (proxy, mut client) = frozen(&hole).await;
        client.send("hello").await;
        // The kernel's next SYN, a second after the first, gets through; there is nobody to see it.
        let backend = hole.opens_up(|mut wire| async move {
            wire.read_until(|bytes| bytes == b"hello").await;
            wire.try_send("welcome").await.unwrap_or_default();
        });
        // Not a wait to be sure: the deadline has to pass while it stands.
        tokio::time::sleep(STILL).await;
        assert!(backend.accepted() >= 2, "it took what had filled its queue, and this one");
        proxy.process.thaw();
        client.expect("welcome").await;
        assert_eq!(proxy.causes(), [""; 0]);
        drop(client);
        proxy.settles_within(PATIENCE).await;
    });
}

#[test]
fn a_backend_that_did_not_is_given_up() {
    Smartproxy::scenario(async {
        let hole = BlackHole::open().await;
        let (proxy, mut client) = frozen(&hole).await;
        tokio::time::sleep(STILL).await;
        proxy.process.thaw();
        assert!(client.read_to_end().await.is_only_a_reset());
        proxy.process.says("dial_timeout").await;
        proxy.settles_within(PATIENCE).await;
    });
}
