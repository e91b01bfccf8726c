//! What may hang, since it is about files: done beside everything else, for a bounded time.
//!
//! The thread that does it cannot be stopped where the kernel waits for another machine, but nobody waits for it: not the control
//! runtime, not whoever asked, not the end of the process. While one hangs no other of its kind is begun.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

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

impl Aside {
    /// Has a thread of its own do something, and waits for it, but no longer than for `PATIENCE`, and not once the proxy is to `stop`.
    /// Cancel-safe: what has begun goes on, and nobody is told of it.
    ///
    /// # Errors
    /// [`AsideError`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        runtime: &Handle,
        stop: impl Future<Output = ()>,
        what: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AsideError> {
        let busy = |_| AsideError::Busy { what };
        let alone = Arc::clone(&self.0).try_acquire_owned().map_err(busy)?;
        let done = runtime.spawn_blocking(move || {
            let _alone = alone;
            work()
        });
        tokio::select! {
            biased;
            done = done => done.map_err(|lost| AsideError::Lost { what, why: lost.to_string() }),
            () = stop => Err(AsideError::Stopping),
            () = tokio::time::sleep(PATIENCE) => Err(AsideError::Late { what }),
        }
    }
}
