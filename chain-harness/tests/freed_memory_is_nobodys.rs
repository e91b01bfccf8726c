//! Clients make the proxy hold as much memory as it may, and go. What they leave behind is nobody's: nobody is refused for it.

use std::time::Duration;

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, within};

/// Half-sent hellos, each of nearly as many bytes as are waited for: more than may be held, together.
const CROWD: usize = 900;
const HALF: usize = 16_250;

const CONFIG: &str = r#"
workers = 2
[limits]
max_memory = "16MiB"
max_connections = 8000
connections_per_client = "off"
connections_per_client_per_minute = "off"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "named"
match = { ports = [PORT_A], domains = ["a.test"] }
action = { forward = ["BACKEND"] }
[[routes]]
name = "plain"
match = { ports = [PORT_B] }
action = { forward = ["BACKEND"] }
"#;

/// A record that holds a ClientHello of 16 291 bytes, as far as it is sent.
fn half_a_hello() -> Vec<u8> {
    let mut hello = b"\x16\x03\x01\x3f\xa7\x01\x00\x3f\xa3\x03\x03".to_vec();
    hello.resize(HALF, 0);
    hello
}

#[test]
fn what_a_crowd_has_left_behind_is_given_back_and_refuses_nobody() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let proxy = Smartproxy::run(&CONFIG.replace("BACKEND", &backend.addr().to_string())).await;
        is_served(&proxy).await;
        let hello = half_a_hello();
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let mut client = Wire::connect(proxy.addr()).await;
            client.try_send(&hello).await.unwrap_or_default();
            crowd.push(client);
        }
        // Long enough for the watch to see them.
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(crowd);
        within(PATIENCE, is_served(&proxy)).await;
        // A reload holds two configurations for a moment, and the next ones find what it has left.
        proxy.process.hang_up();
        proxy.process.says("reloaded: the new configuration").await;
        for _ in 0..3 {
            within(PATIENCE, is_served(&proxy)).await;
        }
        proxy.settles_within(PATIENCE).await;
    });
}

async fn is_served(proxy: &Smartproxy) {
    loop {
        let mut client = Wire::connect(proxy.at(1)).await;
        client.try_send("hello").await.unwrap_or_default();
        if client.read_some().await == b"hello" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
