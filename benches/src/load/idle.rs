//! Connections that were used once and are open.

use std::io;
use std::net::SocketAddrV4;

use super::Load;

/// What each has sent and got back before it falls silent.
const MESSAGE: u64 = 1024;
/// As many are opened at a time: no proxy's queue overflows.
const AT_ONCE: u32 = 128;

impl Load {
    /// Opens `count` connections more; each has a kilobyte go through it each way.
    pub(crate) fn idle(&mut self, to: SocketAddrV4, count: u32) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let batch = left.min(AT_ONCE);
            left -= batch;
            let from = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
            self.open(to, batch, MESSAGE)?;
            self.greet(from, batch)?;
        }
        Ok(())
    }

    /// One round trip on each of `count` connections, from the one numbered `from` on.
    fn greet(&mut self, from: u32, count: u32) -> io::Result<()> {
        let mut open = count;
        for number in from..from + count {
            self.ask(number, MESSAGE)?;
        }
        while open > 0 {
            self.turn(super::LOOK)?;
            for ready in std::mem::take(&mut self.ready) {
                let number = u32::try_from(ready.token).unwrap_or(u32::MAX);
                if self.answered(number)?.is_some() {
                    open -= 1;
                }
            }
        }
        Ok(())
    }

    /// Ends all connections at once without waiting for the backends.
    pub(crate) fn hang_up(&mut self) {
        self.clients.clear();
    }
}
