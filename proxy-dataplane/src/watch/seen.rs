//! What the watch sees of a pool and of the process.

use std::time::Duration;

use proxy_conn::overload::Usage;
use proxy_conn::{Phase, Readings};

use crate::descriptors;
use crate::generation::Generation;
use crate::pool::Pool;

/// Descriptors of a connection at the most, but for what its process lends it: its two sockets.
const OF_A_CONNECTION: u64 = 2;

/// What was seen of a pool's connections when they were last walked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    dialling: u64,
    oldest_dial: Duration,
}

impl Seen {
    /// One of them, which has been in `phase` for so long.
    pub(super) fn add(&mut self, phase: Phase, in_phase: Duration) {
        if phase == Phase::Dial {
            self.dialling += 1;
            self.oldest_dial = self.oldest_dial.max(in_phase);
        }
    }

    /// As the breaker of `pool` reads it, where so many want a place.
    pub(super) fn readings(&self, pool: &Pool, process: &Process, wanted: u64) -> Readings {
        Readings {
            connections: pool.connections(),
            dialling: self.dialling,
            oldest_dial: self.oldest_dial,
            descriptors: process.descriptors,
            memory: process.memory,
            wanted,
        }
    }
}

/// What there is to see of the process.
pub(super) struct Process {
    pub(super) descriptors: Usage,
    pub(super) memory: Usage,
}

/// Descriptors in use. What the process has beside its connections (listening sockets, pipes, files, whatever else) is its
/// own: their end would not bring it back.
pub(super) fn descriptors<D>(proxy: &Generation<D>) -> Usage {
    let used = descriptors::in_use();
    let theirs = OF_A_CONNECTION * proxy.tracker.len() as u64;
    Usage::new(used, descriptors::limit()).beside(used.saturating_sub(theirs))
}
