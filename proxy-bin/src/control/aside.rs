//! What may hang, since it is about files: done beside everything else, for a bounded time.
//!
//! The thread that does it cannot be stopped where the kernel waits for another machine, but nobody waits for it: not the control
//! runtime, not whoever asked, not the end of the process. While one hangs no other of its kind is begun.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Control;

/// How long a file may take: the longest configuration takes a tenth of a second from a disk, and a file server that does not
/// answer within this is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing at a time that may hang.
#[derive(Debug)]
pub(crate) struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AsideError {
    /// It takes longer than it may.
    #[error("{what} has taken more than {}s and is not waited for any longer", PATIENCE.as_secs())]
    Late {
        /// What.
        what: &'static str,
    },
    /// Another one hangs.
    #[error("{what} is not begun: the last time has not come to its end")]
    Busy {
        /// What.
        what: &'static str,
    },
    /// Nobody needs it any more.
    #[error("the proxy stops")]
    Stopping,
    /// It has panicked, or the process ends.
    #[error("{what} was not done: {why}")]
    Lost {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl Control {
    /// Has a thread of its own do something, and waits for it, but no longer than for `PATIENCE`, and not once the proxy is to stop.
    /// Cancel-safe: what has begun goes on, and nobody is told of it.
    ///
    /// # Errors
    /// [`AsideError`].
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        aside: &Aside,
        what: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AsideError> {
        let busy = |_| AsideError::Busy { what };
        let alone = Arc::clone(&aside.0).try_acquire_owned().map_err(busy)?;
        let done = self.parts().runtime.spawn_blocking(move || {
            let _alone = alone;
            work()
        });
        tokio::select! {
            biased;
            done = done => done.map_err(|lost| AsideError::Lost { what, why: lost.to_string() }),
            () = self.asked_to_stop() => Err(AsideError::Stopping),
            () = tokio::time::sleep(PATIENCE) => Err(AsideError::Late { what }),
        }
    }

    /// Opens the log's files anew, after somebody has moved them away.
    ///
    /// # Errors
    /// Why the files that were open are written to as before.
    pub async fn reopen_logs(&self) -> Result<(), String> {
        let Some(logs) = self.logs() else { return Ok(()) };
        let reopened =
            self.aside(&self.parts().opening, "opening the log files", move || logs.reopen()).await;
        let reopened = reopened.map_err(|error| error.to_string());
        let reopened = reopened.and_then(|done| done.map_err(|error| error.to_string()));
        match &reopened {
            Ok(()) => tracing::info!("opened the log files anew"),
            Err(error) => tracing::warn!(error, "the log files stay as they are"),
        }
        reopened
    }
}
