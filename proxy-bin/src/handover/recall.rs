//! Calls a hand-over off while it is under way: the process is to stop, and the one that takes its place with it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tokio::time::Instant;

/// Says that a hand-over is off. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Recall(Arc<OwnedFd>);

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// There is something to do with the other process.
    Answer,
    /// It is off.
    Recalled,
    /// Nothing, in time.
    Nothing,
}

impl Recall {
    /// One that is not off.
    ///
    /// # Errors
    /// Where there is no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags)?)))
    }

    /// Calls it off.
    pub fn now(&self) {
        // It fails only where it was said already, 2^64 times.
        rustix::io::write(&*self.0, &1_u64.to_ne_bytes()).unwrap_or_default();
    }

    /// Waits until `way` is ready for `what`, or has ended. Blocks.
    pub(super) fn or(&self, way: impl AsFd, what: PollFlags, until: Instant) -> io::Result<Came> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = rustix::time::Timespec::try_from(left).map_err(io::Error::other)?;
            let mut both = [PollFd::new(&way, what), PollFd::new(&*self.0, PollFlags::IN)];
            match poll(&mut both, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                ready => ready?,
            };
            let [way, recall] = both.map(|one| !one.revents().is_empty());
            return Ok(match (way, recall) {
                (_, true) => Came::Recalled,
                (true, false) => Came::Answer,
                (false, false) => Came::Nothing,
            });
        }
    }
}
