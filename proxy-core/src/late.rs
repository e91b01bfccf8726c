//! Deadlines that passed while a thread was held up: its process was stopped, its container paused, its machine moved, or its
//! processor was busy with others.
//!
//! What came meanwhile came in time, so whoever finds a deadline passed looks once before it ends anything. That is enough
//! where the one who is waited for went on. But who is next to this thread may have stood still as well (another hop on this
//! machine, another worker of this process), with what is waited for in its hands; and now both run.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::stream::Stream;

/// Nobody counts as late by less: timers are, by a millisecond or two, and by some more where many fire at once.
const UNNOTICED: Duration = Duration::from_millis(10);

/// Long enough for a hop with ten thousand connections to pass on what all of them were sent meanwhile (0.2 s on one core).
const MOST: Duration = Duration::from_millis(500);

/// How much longer a peer is waited for by a thread that finds a deadline passed by `late`: as long as it stood still, half a
/// second at most. None where it did not. To be granted once.
#[must_use]
pub fn grace(late: Duration) -> Option<Duration> {
    (late >= UNNOTICED).then_some(late.min(MOST))
}

/// What `future`, which reads from `stream`, resolves to, unless `deadline` comes first: None then.
///
/// At the deadline the stream is looked at once more: where this thread is late, bytes that came in time may be waiting, and the
/// kernel has not been asked for them yet. Then `future` has its [`grace`], for a hop before this one may have been late with
/// them. Cancel-safe where `future` is.
pub async fn within<S: Stream, F: Future>(deadline: Instant, stream: &S, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    if let Ok(output) = tokio::time::timeout_at(deadline, future.as_mut()).await {
        return Some(output);
    }
    stream.look();
    if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        return Some(output);
    }
    tokio::time::timeout(grace(deadline.elapsed())?, future).await.ok()
}
