//! What was before: the interface between history and the rules.

use std::time::Duration;

use crate::subject::Subject;

/// What is kept of a subject over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Figure {
    /// Connections that are open: a gauge.
    Open,
    /// Connections that were opened: a counter.
    Opened,
    /// Connections that have ended: a counter.
    Ended,
    /// Of those, how many the backend failed: a counter.
    Failed,
    /// Of those, how many a limit refused: a counter.
    Refused,
    /// Bytes read from clients: a counter.
    FromClient,
    /// Bytes read from backends: a counter.
    FromBackend,
}

/// What was before the picture that is judged.
pub trait Past {
    /// By how much a counter has risen, or a gauge has changed (it may be below zero), within the last `over`. `None` where nothing
    /// is known of the subject from so long ago.
    fn change(&self, subject: &Subject, figure: Figure, over: Duration) -> Option<f64>;
}
