//! What is so at one moment.

use std::time::Duration;

use proxy_conn::{Phase, Totals};

use crate::subject::Subject;

/// The figures of one subject at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reading {
    /// Connections that are open.
    pub open: u64,
    /// Those by phase, where connections were walked for it.
    pub phases: [u64; Phase::ALL.len()],
    /// What it has counted since the start, bytes of those that are open included.
    pub totals: Totals,
    /// How long it took to the backend's first byte, 99 of 100 of those that ended since the last picture; `None` where none did.
    pub first_byte_p99: Option<Duration>,
}

/// What is so at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Picture {
    /// Since the start of the process.
    pub at: Duration,
    /// The figures by subject: the process first, then routes, targets, listeners and pools, each once.
    pub readings: Vec<(Subject, Reading)>,
}
