//! The commands against a live chain of real processes: outer hop → inner hop → an echo, and outer hop → a black hole.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed assumption of a test is its failure, and a test waits by blocking"
)]

mod acting;
mod chain;
mod demo;
mod groups;
mod history;
#[path = "../shared/loopback.rs"]
mod loopback;
mod named_hops;
mod pile_up;
mod seeing;
mod stuck;
mod world;

use std::time::Duration;

/// How long something may take that is to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` finds something.
#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
