//! After a reset: deliver what had been read before the other side gets its reset.
//!
//! A socket closed with a reset forgets what its kernel has not sent yet, so bytes that were read from one side and
//! written to the other would be lost with it. They are given time to arrive for as long as the other side takes them.

use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::lane::Lane;
use crate::bound::Bound;
use crate::stream::Stream;

/// Without progress for this long the other side is taken not to want the rest: resets have to travel within a second.
const PATIENCE: Duration = Duration::from_millis(400);
/// The first wait between two looks at the send queue; doubled up to the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Delivers what is left in `lane` and in the kernel of `to`, within `limit` and for as long as there is progress.
pub(super) async fn settle<F: Stream, T: Stream>(lane: &mut Lane, from: &F, to: &T, limit: Bound) {
    lane.mark_broken();
    let deadline = Instant::now() + limit.get();
    let (mut progress_at, mut wait) = (Instant::now(), SHORTEST_WAIT);
    let mut last = (lane.pending(), usize::MAX);
    loop {
        // A look, not a wait: what cannot be moved now is looked at again after a moment.
        let stuck = std::future::poll_fn(|cx| Poll::Ready(lane.poll(cx, from, to, false).is_pending())).await;
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
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
