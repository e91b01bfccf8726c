//! What one connection comes to, as it is counted.

use std::time::Duration;

use super::{WAITS, micros};
use crate::end::{By, Cause, End};
use crate::entry::{Entry, Talk};
use crate::histogram::Bounds;
use crate::phase::Phase;

/// Who counts: which of how many workers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worker {
    pub(crate) nth: usize,
    pub(crate) of: usize,
}

/// A value and the bucket that takes it: sought once, counted under several names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valued {
    pub(super) value: u64,
    pub(super) bucket: usize,
}

impl Valued {
    pub(super) fn new(bounds: Bounds, value: u64) -> Self {
        Self { value, bucket: bounds.bucket(value) }
    }
}

/// What a connection that has ended is counted as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(super) cause: Cause,
    /// The backend is at fault.
    pub(super) failed: bool,
    /// The client had spoken, and the backend never after it.
    pub(super) unanswered: bool,
    /// Bytes from the client and from the backend that no walk has counted.
    pub(super) bytes: (u64, u64),
    /// From its route to its backend, waits for a place left out, in microseconds; None where it had none.
    pub(super) dial: Option<Valued>,
    /// Until the backend's first byte, in microseconds; None where none came.
    pub(super) first_byte: Option<Valued>,
    /// From accept to the end, in milliseconds.
    pub(super) lifetime: Valued,
}

impl Account {
    /// That of a connection that has ended so. Its bytes are counted with it: once.
    pub(crate) fn of(entry: &Entry, end: End, lifetime: Duration) -> Self {
        let wait = |time| Valued::new(WAITS, micros(time));
        let dialled = entry.phase() >= Phase::Relay;
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Self {
            cause: end.cause,
            failed: end.by == By::Backend,
            unanswered: entry.talk() == Talk::Unanswered,
            bytes: entry.uncounted(),
            dial: dialled.then(|| wait(entry.dialled_in(lifetime))),
            first_byte: entry.first_byte().map(wait),
            lifetime: Valued::new(Bounds::MILLIS, millis),
        }
    }

    /// Until the backend's first byte, in microseconds; None where none came.
    pub(crate) fn first_byte(&self) -> Option<u64> {
        self.first_byte.map(|wait| wait.value)
    }

    /// Whether the backend is at fault.
    pub(crate) const fn failed(&self) -> bool {
        self.failed
    }

    /// Whether the client had spoken, and the backend never after it.
    pub(crate) const fn unanswered(&self) -> bool {
        self.unanswered
    }

    /// Bytes from the client and from the backend that no walk has counted.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        self.bytes
    }
}
