//! What one connection comes to, as it is counted.

use crate::end::Cause;
use crate::histogram::Bounds;

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
    pub(crate) fn new(bounds: Bounds, value: u64) -> Self {
        Self { value, bucket: bounds.bucket(value) }
    }
}

/// What a connection that has ended is counted as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) cause: Cause,
    /// The backend is at fault.
    pub(crate) failed: bool,
    /// The client had spoken, and the backend never after it.
    pub(crate) unanswered: bool,
    /// Bytes from the client and from the backend that no walk has counted.
    pub(crate) bytes: (u64, u64),
    /// From its route to its backend, waits for a place left out, in microseconds; None where it had none.
    pub(crate) dial: Option<Valued>,
    /// Until the backend's first byte, in microseconds; None where none came.
    pub(crate) first_byte: Option<Valued>,
    /// From accept to the end, in milliseconds.
    pub(crate) lifetime: Valued,
}

impl Account {
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
