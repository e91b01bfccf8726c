//! Health checks against the real servers that they are made for, as Debian has them: up while the server serves, down when it
//! does not, and of each check no more in the server's log than docs/operations.md says. One that is not installed is skipped with
//! a word.

#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

mod http;
mod mariadb;
mod postgres;
mod redis;
mod smtp;
mod ssh;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use chain_harness::{Hop, PATIENCE, Peer, eventually};
use proxy_upstream::health::{HealthCause, HealthState, HealthView};

/// Checks that are made before anybody looks into a server's log.
const CHECKS: u64 = 20;

/// A proxy whose only member is `server`, checked so (TOML).
fn checking(server: SocketAddr, check: &str) -> Hop {
    Hop::start(&format!(
        r#"
        [[listeners]]
        ports = [PORT_A]
        bind = ["127.0.0.1"]
        [groups.servers]
        members = ["{server}"]
        check = {check}
        [[routes]]
        name = "only"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = "@servers" }}
        "#
    ))
}

/// How its member is.
fn view(hop: &Hop) -> HealthView {
    let proxy = hop.control().proxy();
    let group = &proxy.route(0).expect("it has one").targets;
    group.nth(0).expect("it has one").health.view()
}

/// It is up for so many checks.
async fn is_up(hop: &Hop) {
    eventually(PATIENCE, || view(hop).checks >= CHECKS).await;
    let view = view(hop);
    assert_eq!((view.state, view.failed), (HealthState::Up, 0), "{:?}", view.finding);
}

/// It is down; by what cause.
async fn is_down(hop: &Hop) -> HealthCause {
    eventually(PATIENCE, || view(hop).state == HealthState::Down).await;
    view(hop).finding.expect("whoever is down failed").cause
}

/// Down when the server stands still, up when it goes on, down when it is gone.
async fn follows(hop: &Hop, server: &mut Peer, when_frozen: HealthCause) {
    server.process.freeze().await;
    assert_eq!(is_down(hop).await, when_frozen);
    server.process.thaw();
    eventually(PATIENCE, || view(hop).state == HealthState::Up).await;
    server.process.kill().await;
    assert_eq!(is_down(hop).await, HealthCause::Refused);
}

/// Lines of a server's log from `first` on.
fn since(server: &Peer, first: usize) -> Vec<String> {
    server.process.lines().into_iter().skip(first).collect()
}

/// Waits until a server has said nothing for a while, and how many lines that is.
async fn settled(server: &Peer) -> usize {
    let mut before = usize::MAX;
    while before != server.process.lines().len() {
        before = server.process.lines().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    before
}
