//! Deadlines that are found to have passed long ago. Then it was this process that stood still (a container that was paused, a
//! machine that was stopped, a core that others had): who was to answer may have done so in time.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// A deadline that is noticed so much later is no judgement on whom it was for. A timer is a millisecond late, and that of a
/// worker with much to do some tens.
const LATE: Duration = Duration::from_millis(100);

/// For so long what came meanwhile is waited for anew: long enough for other threads that stood still as well to pass it on,
/// and for a handshake with whoever they found.
pub(crate) const ANEW: Duration = Duration::from_millis(500);

/// Whether a deadline that is noticed so long after it passed was missed by this process, not by whom it was for.
pub(crate) fn is_late(by: Duration) -> bool {
    by >= LATE
}

/// What `future` comes to within `patience`, or a little later where that moment was missed. None where it does not. Cancel-safe
/// if the future is.
pub(crate) async fn within<F: Future>(patience: Duration, future: F) -> Option<F::Output> {
    let (began, mut future) = (Instant::now(), pin!(future));
    match timeout(patience, &mut future).await {
        Ok(output) => Some(output),
        Err(_) if is_late(began.elapsed().saturating_sub(patience)) => timeout(ANEW, future).await.ok(),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn who_is_late_waits_a_little_longer_and_who_is_not_does_not() {
        for (stands, waits) in [(1000, 0), (1099, 0), (1100, 500), (60_000, 500)] {
            let (_never, answer) = oneshot::channel::<()>();
            let mut waiting = tokio_test::task::spawn(within(1000 * MS, answer));
            tokio_test::assert_pending!(waiting.poll());
            tokio::time::advance(stands * MS).await;
            let noticed = Instant::now();
            assert!(waiting.await.is_none());
            assert_eq!(noticed.elapsed(), waits * MS, "after {stands} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_soon_after_a_standstill_was_said_in_time() {
        let (says, answer) = oneshot::channel();
        let mut waiting = tokio_test::task::spawn(within(1000 * MS, answer));
        tokio_test::assert_pending!(waiting.poll());
        tokio::time::advance(5000 * MS).await;
        tokio_test::assert_pending!(waiting.poll());
        says.send(7).unwrap();
        assert_eq!(waiting.await, Some(Ok(7)));
    }
}
