//! The real binary as the machine it runs on sees it: its logs, its signals, its sockets, who it is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failed assumption of a test is its failure, and a test waits by blocking"
)]

mod access_log;
mod admin_socket;
mod few_descriptors;
mod hanging;
mod held_descriptors;
mod leaving;
#[path = "../shared/loopback.rs"]
mod loopback;
mod privileges;
mod running;
mod service;
mod starting;
mod upgrade;
mod watching;

use std::time::Duration;

/// How long something may take that is to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < until, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
