//! That others answered sooner: until when a member is tried after them.

use tokio::time::Instant;

use crate::moment::{Moment, Moments};

/// Until when a member is tried after those that answer sooner. A time that is over stays noted until the member is found well, so
/// that it is told once.
#[derive(Debug)]
pub(crate) struct Lag {
    moments: Moments,
    until: Moment,
}

impl Lag {
    pub(crate) fn new(moments: Moments) -> Self {
        Self { moments, until: Moment::default() }
    }

    /// It lags until then; whether that is news.
    pub(crate) fn until(&self, at: Instant) -> bool {
        self.until.set(self.moments, at)
    }

    /// If it lags, or did so at last, it goes on until then.
    pub(crate) fn goes_on_until(&self, at: Instant) {
        if self.until.is_set() {
            self.until.set(self.moments, at);
        }
    }

    /// It does not.
    pub(crate) fn over(&self) {
        self.until.clear();
    }

    /// Whether others are to be tried before it.
    pub(crate) fn lasts(&self, now: impl FnOnce() -> Instant) -> bool {
        self.until.is_ahead(self.moments, now)
    }
}
