//! The deadlines of the stages before the relay.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use proxy_conn::{ConnGuard, DeadlineKind, Phase};
use proxy_core::Stream;
use proxy_core::late::grace;
use tokio::time::Instant;

use super::verdict::Verdict;

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

/// What `future`, which reads from `client`, comes to, unless `deadline` comes first. When it has, the client is looked at once
/// more: where this worker is late, what came in time may be waiting, and nobody has told of it yet. Then it is waited for a
/// moment more, for a hop before this one may have been late with it.
pub(super) async fn within<S: Stream, F: Future>(
    deadline: Instant,
    client: &S,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    if let Ok(output) = tokio::time::timeout_at(deadline, future.as_mut()).await {
        return Some(output);
    }
    client.look();
    if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        return Some(output);
    }
    tokio::time::timeout(grace(deadline.elapsed())?, future).await.ok()
}
