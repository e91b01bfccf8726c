//! What is reported when a breaker changes its state.

use std::fmt;

use proxy_core::Bound;

use super::BreakerState;

/// A breaker went from one state to another. Its text is a line of the log, less the target's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state it left.
    pub from: BreakerState,
    /// The state it is in now.
    pub to: BreakerState,
    /// Failures in a row, up to this change.
    pub failures_in_a_row: u32,
    /// The cool-down that begins, if it opened.
    pub cool_down: Option<Bound>,
    /// Why.
    pub because: Because,
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Too many dials failed in a row.
    Failures,
    /// The one dial that was to try the target failed.
    ProbeFailed,
    /// It succeeded, or the target was found in order otherwise.
    ProbeSucceeded,
    /// The target has other addresses than those that failed.
    Moved,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, failures_in_a_row: failures, cool_down, because } = self;
        write!(f, "{from} → {to}: ")?;
        match because {
            Because::Failures => write!(f, "{failures} dials failed in a row"),
            Because::ProbeFailed => f.write_str("the probe failed"),
            Because::ProbeSucceeded => write!(f, "the probe succeeded, after {failures} failures in a row"),
            Because::Moved => write!(f, "its name has other addresses than those of the {failures} failures"),
        }?;
        match (because, cool_down) {
            (Because::Failures, Some(time)) => write!(f, ", left alone for {time}"),
            (_, Some(time)) => write!(f, ", left alone for another {time}"),
            (_, None) => Ok(()),
        }
    }
}
