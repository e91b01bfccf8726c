//! What the watch sees of a pool and of the process.

use std::time::Duration;

use proxy_conn::overload::Usage;
use proxy_conn::{Phase, Readings};

use crate::config::Memory;
use crate::descriptors;
use crate::pool::Pool;
use crate::proxy::Proxy;

/// What was seen of a pool's connections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    dialling: u64,
    oldest_dial: Duration,
}

impl Seen {
    /// One more of them, which has been in `phase` for so long.
    pub(super) fn add(&mut self, phase: Phase, in_phase: Duration) {
        self.connections += 1;
        if phase == Phase::Dial {
            self.dialling += 1;
            self.oldest_dial = self.oldest_dial.max(in_phase);
        }
    }

    /// As the breaker of `pool` reads it.
    pub(super) fn readings(&self, pool: &Pool, process: &Process) -> Readings {
        Readings {
            connections: Usage::new(self.connections as u64, pool.watched as u64),
            dialling: self.dialling,
            oldest_dial: self.oldest_dial,
            descriptors: process.descriptors,
            memory: process.memory,
        }
    }
}

/// What there is to see of the process.
pub(super) struct Process {
    descriptors: Usage,
    memory: Usage,
}

impl Process {
    pub(super) fn read<D>(proxy: &Proxy<D>) -> Self {
        let most_memory = proxy.config.limits.max_memory.map_or(0, Memory::bytes);
        Self {
            descriptors: Usage::new(descriptors::in_use(), descriptors::limit()),
            memory: Usage::new(
                if most_memory > 0 { descriptors::resident().unwrap_or(0) } else { 0 },
                most_memory,
            ),
        }
    }
}
