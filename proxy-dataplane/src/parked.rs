//! A runtime that no thread drives yet.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::descriptors;

/// A runtime for one thread, which drives it later or never. It may be dropped anywhere: to drop a runtime itself where another
/// one is driven panics, and a start that fails half-way drops what it has made, wherever it is.
#[derive(Debug)]
pub struct Parked {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Parked {
    /// One with timers and sockets.
    ///
    /// # Errors
    /// What the system says, such as that there is no descriptor left.
    pub fn new() -> io::Result<Self> {
        descriptors::room_for_a_runtime()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle })
    }

    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Drives it on this thread until `future` is done, then ends what else runs on it. What has a thread of its own there
    /// (`spawn_blocking`) is not waited for.
    pub fn block_on(self, future: impl Future<Output = ()>) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(future);
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_never_driven_goes_where_another_is_driven() {
        let outer = Parked::new().unwrap();
        let inner = Parked::new().unwrap();
        outer.block_on(async move { drop(inner) });
    }
}
