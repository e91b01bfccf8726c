//! What live views share: the last sample, and how many views there may be.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::admin::problem::Problem;

/// All views are told the same sample, which is no older than this.
const FRESH: Duration = Duration::from_millis(900);
/// Streams that are served at a time: half of the connections, so that they never keep everybody else out.
const MOST: usize = super::accept::MOST_CONNECTIONS / 2;

/// The last sample, for all views, and how many views there may be.
#[derive(Debug)]
pub(super) struct Live {
    last: Mutex<Option<(Instant, Arc<str>)>>,
    places: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self { last: Mutex::new(None), places: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Live {
    /// A place among the streams.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::unavailable(format!("{MOST} live views are open, the most there may be: close one"))
        })
    }

    /// The last sample, or what `now` says where that is old.
    pub(super) fn sample(&self, now: impl FnOnce() -> String) -> Arc<str> {
        let mut last = self.last.lock();
        if let Some((_, sample)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(sample);
        }
        let (_, sample) = last.insert((Instant::now(), now().into()));
        Arc::clone(sample)
    }
}
