//! The admin API against a live chain: every endpoint, over both of its sockets, and what it says when it cannot.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]
#![expect(clippy::disallowed_methods, reason = "a client of the proxy, not a part of it")]

mod change;
mod connections;
mod door;
mod drains;
mod events;
mod groups;
mod health;
mod history;
mod http;
mod kill;
#[path = "../shared/loopback.rs"]
mod loopback;
mod metrics;
mod name;
mod openapi;
mod outcomes;
mod places;
mod program;
mod schema;
mod series;
mod starved;
mod status;
mod whole;
mod world;

use std::time::{Duration, Instant};

/// How long anything may take that does happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
