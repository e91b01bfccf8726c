//! What is so at one moment.

use std::time::Duration;

use proxy_conn::{Living, Phase, Totals};

use crate::subject::Subject;

/// The figures of one subject at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reading {
    /// Connections that are open.
    pub open: u64,
    /// Those by phase, as of the last walk.
    pub phases: [u64; Phase::ALL.len()],
    /// What it has counted since the start. Bytes of those that are open are in it as of the last walk.
    pub totals: Totals,
    /// More of those that are open, as of the last walk: who dials, waits, is not answered.
    pub living: Living,
    /// How long it took to the backend's first byte, 99 of 100 of those that ended since the last picture; `None` where none did.
    pub first_byte_p99: Option<Duration>,
}

/// What is so at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Picture {
    /// Since the start of the process.
    pub at: Duration,
    /// When connections were last walked, since the start of the process.
    pub walked: Duration,
    /// The figures by subject: the process first, then routes, targets, listeners and pools, each once.
    pub readings: Vec<(Subject, Reading)>,
}
