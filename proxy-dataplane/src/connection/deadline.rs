//! The deadlines of the stages before the relay.

use proxy_conn::{ConnGuard, DeadlineKind, Phase, Verdict};
use tokio::time::Instant;

pub(super) use proxy_core::late::within;

/// Enters a phase that has to end within `bound` of now.
pub(super) fn enter(
    conn: &ConnGuard,
    phase: Phase,
    bound: proxy_core::Bound,
    kind: DeadlineKind,
) -> Result<Instant, Verdict> {
    let deadline = Instant::now() + bound.get();
    conn.enter(phase, deadline, kind)?;
    Ok(deadline)
}
