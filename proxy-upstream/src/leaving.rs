//! What becomes of what a member has that goes.

/// What becomes of the connections of a member that a check finds down, or that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Leaving {
    /// They go on. The default.
    #[default]
    Keep,
    /// They are reset at once.
    Kill,
    /// They have a time to end by themselves, and are reset then.
    Drain,
}
