//! That others answered sooner: until when a member is tried after them.

use tokio::time::Instant;

use crate::moment::{Moment, Moments};

/// Until when a member is tried after those that answer sooner. A time that is over stays noted until the member is found well, so
/// that it is told once.
#[derive(Debug, Default)]
pub(crate) struct Lag(Moment);

impl Lag {
    /// It lags until then; whether that is news.
    pub(crate) fn until(&self, moments: Moments, at: Instant) -> bool {
        self.0.set(moments, at)
    }

    /// If it lags, or did so at last, it goes on until then.
    pub(crate) fn goes_on_until(&self, moments: Moments, at: Instant) {
        if self.0.is_set() {
            self.0.set(moments, at);
        }
    }

    /// It does not.
    pub(crate) fn over(&self) {
        self.0.clear();
    }

    /// Whether others are to be tried before it.
    pub(crate) fn lasts(&self, moments: Moments, now: impl FnOnce() -> Instant) -> bool {
        self.0.is_ahead(moments, now)
    }
}
