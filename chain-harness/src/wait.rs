//! Waiting, always with a bound.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

/// The bound of whatever should happen at once: long enough for a loaded machine, short enough to be waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until `condition` holds, and panics where that takes longer than `bound`.
#[track_caller]
pub fn eventually(bound: Duration, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let deadline = Instant::now() + bound;
        while !condition() {
            assert!(Instant::now() < deadline, "{place}: what is waited for did not happen within {bound:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits until `actual` gives `expected`, and panics with both where that takes longer than `bound`.
#[track_caller]
pub(crate) fn becomes<T: PartialEq + fmt::Debug>(
    bound: Duration,
    expected: T,
    mut actual: impl FnMut() -> T,
) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let deadline = Instant::now() + bound;
        loop {
            let now = actual();
            if now == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{place}: still {now:?} after {bound:?}, not {expected:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What `actual` comes to rest at: its value once that has been the same for `still`. For what is to stop moving by itself;
/// how long it stays so is for the test to say.
#[track_caller]
pub fn settled<T: PartialEq>(still: Duration, mut actual: impl FnMut() -> T) -> impl Future<Output = T> {
    let place = Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        let (mut last, mut since) = (actual(), Instant::now());
        while since.elapsed() < still {
            assert!(Instant::now() < deadline, "{place}: still moving after {PATIENCE:?}");
            tokio::time::sleep(LOOK).await;
            let now = actual();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }
}

/// What `future` comes to; panics where that takes longer than `bound`.
#[track_caller]
pub fn within<F: Future>(bound: Duration, future: F) -> impl Future<Output = F::Output> {
    let place = Location::caller();
    async move {
        let Ok(output) = tokio::time::timeout(bound, future).await else {
            panic!("{place}: not done within {bound:?}");
        };
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_condition_is_looked_at_until_it_holds() {
        let looks = Cell::new(0);
        eventually(PATIENCE, || {
            looks.set(looks.get() + 1);
            looks.get() == 3
        })
        .await;
        assert_eq!(looks.get(), 3);
    }

    #[tokio::test]
    #[should_panic(expected = "did not happen within 10ms")]
    async fn a_condition_that_never_holds_panics() {
        eventually(Duration::from_millis(10), || false).await;
    }
}
