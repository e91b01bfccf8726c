//! Arrivals outrun ends until a pool is near its limit: it sheds by rule, ends what is of least use, recovers, and says so.

use std::time::Duration;

use chain_harness::{Backend, Hop, PATIENCE, Wire, eventually, scenario, within};
use proxy_conn::{Cause, Level};

/// One pool of 40 that is quick to act; another route in another pool beside it.
const POOLS: &str = r#"
limits.connections_per_client = "off"
limits.connections_per_client_per_minute = "off"
workers = 1
[pools.small]
max_connections = 40
overload = { connections_tight = 50, connections_shed = 75, slack = 20, least_stay = "1s", victims_idle = "1s", victims_share = 50 }
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "flooded"
pool = "small"
match = { ports = [PORT_A] }
action = { forward = ["BACKEND"] }
[[routes]]
name = "beside"
match = { ports = [PORT_B] }
action = { forward = ["BACKEND"] }
"#;

#[test]
fn a_pool_sheds_by_rule_recovers_and_leaves_others_alone() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&POOLS.replace("BACKEND", &backend.addr().to_string()));
        let level = || hop.pool_level("small");
        let mut flood = Vec::new();
        for _ in 0..32 {
            let mut client = Wire::connect(hop.addr()).await;
            client.send("hello").await;
            client.expect("hello").await;
            flood.push(client);
        }
        eventually(PATIENCE, || level() == Level::Shed).await;
        let mut refused = Wire::connect(hop.addr()).await;
        assert!(refused.read_to_end().await.is_only_a_reset());
        eventually(PATIENCE, || hop.ends_of(Cause::Shed) == 1).await;
        let mut beside = Wire::connect(hop.at(1)).await;
        beside.send("hello").await;
        beside.expect("hello").await;
        // Nobody is ended while busy: only after a second of silence, and then as many as newcomers need.
        within(PATIENCE, served(hop.addr())).await;
        let ended = hop.ends_of(Cause::Overload);
        assert!((3..=16).contains(&ended), "down to 29 at least, half of them at the most: {ended}");
        drop((flood, refused, beside));
        eventually(Duration::from_secs(10), || level() == Level::Normal).await;
        hop.settles().await;
        hop.is_clean().await;
    });
}

/// Comes until somebody is served.
async fn served(addr: std::net::SocketAddr) {
    loop {
        let mut client = Wire::connect(addr).await;
        client.try_send("hello").await.unwrap_or_default();
        if client.read_some().await == b"hello" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
