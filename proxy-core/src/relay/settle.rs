//! After a reset: deliver what had been read before the other side gets its reset.
//!
//! A socket closed with a reset forgets what its kernel has not sent yet, so bytes that were read from one side and
//! written to the other would be lost with it. They are given time to arrive for as long as the other side takes them.
//!
//! Where the side that reset had ended before, nothing that it said is missing: its end may still lie in the kernel, behind bytes
//! that a slow reader has left there, and a reset takes neither away. Then all of it is delivered, and the reader has as long for
//! each byte as it has without a reset: nobody waits to hear of one.

use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::deadline::{Due, RelayDeadline};
use super::lane::{Lane, LaneError, Moved};
use super::{Meter, Side};
use crate::Bound;
use crate::stream::{Stream, gone};

/// Without progress for this long the other side is taken not to want the rest: resets have to travel within a second.
const PATIENCE: Duration = Duration::from_millis(400);
/// The first wait between two looks at the send queue; doubled up to the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// What is told of what is delivered behind a reset, and for how long the other side may take nothing of it.
pub(super) struct Rest<'a, M> {
    pub(super) meter: &'a M,
    /// Who has reset.
    pub(super) by: Side,
    pub(super) patience: Bound,
    /// How often it is looked at whether it has taken some.
    pub(super) look: Duration,
    /// The end of the connection's life.
    pub(super) lifetime_end: Instant,
}

impl<M: Meter> Rest<'_, M> {
    /// Tells what was moved `now`; until when the next byte has to.
    fn moved(&self, moved: Moved, now: Instant) -> Instant {
        if moved.any() {
            self.meter.moved(self.by, moved.read, now);
        }
        let silent = (now + self.patience.get(), RelayDeadline::HalfClosed);
        let due = Due { silent, anew: None, fixed: Some((self.lifetime_end, RelayDeadline::Lifetime)) };
        self.meter.deadline(&due);
        due.nearest().0
    }
}

/// Delivers all that the side that reset has said, with its end: what is left in `lane`, in its kernel, and in that of `to`; for as
/// long as `to` takes some within the patience. Whether it has acknowledged all of it. Streams that lose with a reset what
/// nobody had read fail to be read, and what is missing is never passed off as an end.
pub(super) async fn finish<F: Stream, T: Stream, M: Meter>(
    lane: &mut Lane,
    from: &F,
    to: &T,
    rest: &Rest<'_, M>,
) -> bool {
    let (mut last, mut until) = ((usize::MAX, usize::MAX), Instant::now());
    let look = rest.look;
    loop {
        if !lane.has_ended() {
            let moving = std::future::poll_fn(|cx| lane.poll(cx, from, to, false));
            if let Ok(Err(_)) = tokio::time::timeout(look, moving).await {
                return false;
            }
        }
        let (left, now) = ((lane.pending(), to.unacknowledged()), Instant::now());
        let moved = lane.take_moved();
        if moved.any() || left < last {
            until = rest.moved(moved, now);
        }
        if lane.has_ended() && left.1 == 0 {
            return true;
        }
        if now >= until {
            return false;
        }
        last = left;
        if lane.has_ended() && tokio::time::timeout(look, gone(to)).await.is_ok() {
            return false;
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
