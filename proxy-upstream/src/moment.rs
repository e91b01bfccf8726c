//! Moments in one word each, so that they are read and written without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What moments are counted from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments(Instant);

/// A moment, or none.
#[derive(Debug, Default)]
pub(crate) struct Moment(AtomicU64);

impl Moments {
    pub(crate) fn from_now() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds up to `at`, and one: none is 0.
    fn millis(self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.0).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Moment {
    /// Sets it; whether there was none.
    pub(crate) fn set(&self, moments: Moments, at: Instant) -> bool {
        self.0.swap(moments.millis(at), Ordering::Relaxed) == 0
    }

    /// There is none.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether there is one.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// How long it is from the moment to `now`; nothing where it is yet to come. None where there is none.
    pub(crate) fn since(&self, moments: Moments, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let at = self.0.load(Ordering::Relaxed);
        (at != 0).then(|| Duration::from_millis(moments.millis(now()).saturating_sub(at)))
    }

    /// Whether it is yet to come.
    pub(crate) fn is_ahead(&self, moments: Moments, now: impl FnOnce() -> Instant) -> bool {
        let at = self.0.load(Ordering::Relaxed);
        at != 0 && moments.millis(now()) < at
    }
}
