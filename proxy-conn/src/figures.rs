//! The distributions of connections that have ended.

use std::time::Duration;

use crate::entry::Entry;
use crate::histogram::{Bounds, Histogram, Snapshot};
use crate::outcomes::{Account, WAITS, micros};
use crate::phase::Phase;

/// Lifetimes, times in each phase and bytes of every connection that has ended, one record each, by its own worker.
#[derive(Debug)]
pub struct Figures {
    lifetime: Histogram,
    phases: [Histogram; Phase::ALL.len()],
    from_client: Histogram,
    from_backend: Histogram,
    first_byte: Histogram,
    queue: Histogram,
}

impl Figures {
    pub(crate) fn new(workers: usize) -> Self {
        let times = || Histogram::new(Bounds::MILLIS, workers);
        let bytes = || Histogram::new(Bounds::BYTES, workers);
        Self {
            lifetime: times(),
            phases: std::array::from_fn(|_| times()),
            from_client: bytes(),
            from_backend: bytes(),
            first_byte: Histogram::new(WAITS, workers),
            queue: Histogram::new(WAITS, workers),
        }
    }

    pub(crate) fn record(&self, worker: usize, entry: &Entry, lifetime: Duration, account: &Account) {
        self.lifetime.record_time(worker, lifetime);
        for (spent, times) in entry.times(lifetime).into_iter().zip(&self.phases) {
            if !spent.is_zero() {
                times.record_time(worker, spent);
            }
        }
        let (from_client, from_backend) = entry.bytes();
        self.from_client.record(worker, from_client);
        self.from_backend.record(worker, from_backend);
        if let Some(first_byte) = account.first_byte() {
            self.first_byte.record(worker, first_byte);
        }
    }

    pub(crate) fn waited(&self, worker: usize, time: Duration) {
        self.queue.record(worker, micros(time));
    }

    /// From accept to the end, in milliseconds.
    #[must_use]
    pub fn lifetime(&self) -> Snapshot {
        self.lifetime.snapshot()
    }

    /// Time in `phase`, in milliseconds, of those that were in it.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Snapshot {
        self.phases.get(phase.index()).unwrap_or(&self.lifetime).snapshot()
    }

    /// How long the backend's first byte took, in microseconds, of those that had one: from the client's first words on, or from
    /// when it had the backend, if that spoke first.
    #[must_use]
    pub fn first_byte(&self) -> Snapshot {
        self.first_byte.snapshot()
    }

    /// How long those that had to wait for a place waited, in microseconds, whether they got one or not.
    #[must_use]
    pub fn queue(&self) -> Snapshot {
        self.queue.snapshot()
    }

    /// Bytes read from the client.
    #[must_use]
    pub fn from_client(&self) -> Snapshot {
        self.from_client.snapshot()
    }

    /// Bytes read from the backend.
    #[must_use]
    pub fn from_backend(&self) -> Snapshot {
        self.from_backend.snapshot()
    }
}
