//! Real time: a bench measures nothing else.

use std::time::Instant;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures real time; nothing here runs on a paused clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
