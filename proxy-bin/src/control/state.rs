//! What a proxy does.

use std::fmt;

/// What a proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// It serves.
    #[default]
    Running,
    /// It was told to stop, and goes on accepting until whoever sends it clients has noticed (`shutdown_delay`).
    Leaving,
    /// It was told to stop, and lets its connections finish.
    Draining,
    /// Another process takes its listeners over.
    HandingOver,
}

impl State {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
            Self::HandingOver => "handing_over",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
