//! After a reset: deliver what had been read before the other side gets its reset.
//!
//! A socket closed with a reset forgets what its kernel has not sent yet, so bytes that were read from one side and
//! written to the other would be lost with it. They are given time to arrive for as long as the other side takes them.
//!
//! Where the side that reset had ended before, all that it had to say is said, and nobody waits to hear of the reset: then a
//! slow reader has as long for each byte as it has without one.

use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::lane::{Lane, LaneError};
use crate::Bound;
use crate::stream::{Stream, gone};

/// Without progress for this long the other side is taken not to want the rest: resets have to travel within a second.
const PATIENCE: Duration = Duration::from_millis(400);
/// The first wait between two looks at the send queue; doubled up to the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// How often a slow reader is looked at within its patience.
const FINISH_LOOKS: u32 = 16;

/// Delivers what the kernel of `to`, which has been sent everything and the end, still holds: for as long as it takes some
/// within `patience`. `told` is told until when that is.
pub(super) async fn finish<T: Stream>(to: &T, patience: Bound, told: impl Fn(Instant)) {
    let (mut last, mut until) = (usize::MAX, Instant::now());
    loop {
        let (left, now) = (to.unacknowledged(), Instant::now());
        if left < last {
            until = now + patience.get();
            told(until);
        }
        if left == 0 || now >= until {
            return;
        }
        last = left;
        if tokio::time::timeout(patience.get() / FINISH_LOOKS, gone(to)).await.is_ok() {
            return;
        }
    }
}

/// Delivers what is left in `lane` and in the kernel of `to`, within `limit` and for as long as there is progress, and not for one
/// who is known to be gone.
pub(super) async fn settle<F: Stream, T: Stream>(lane: &mut Lane, from: &F, to: &T, limit: Bound) {
    lane.mark_broken();
    let deadline = Instant::now() + limit.get();
    let (mut progress_at, mut wait) = (Instant::now(), SHORTEST_WAIT);
    let mut last = (lane.pending(), usize::MAX);
    loop {
        // A look, not a wait: what cannot be moved now is looked at again after a moment.
        let stuck = match std::future::poll_fn(|cx| Poll::Ready(lane.poll(cx, from, to, false))).await {
            Poll::Ready(Err(LaneError::Sink(_))) => return,
            Poll::Ready(Ok(()) | Err(LaneError::Source(_))) => false,
            Poll::Pending => true,
        };
        let (left, now) = ((lane.pending(), to.unacknowledged()), Instant::now());
        let moved = lane.take_moved().any();
        if !stuck && left.1 == 0 {
            return;
        }
        if moved || left < last {
            (progress_at, wait) = (now, SHORTEST_WAIT);
        }
        if now >= deadline || now.duration_since(progress_at) >= PATIENCE {
            return;
        }
        last = left;
        // Nobody is left to take the rest: what the kernel says of a socket that was reset never becomes less.
        if tokio::time::timeout(wait, gone(to)).await.is_ok() {
            return;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests;
