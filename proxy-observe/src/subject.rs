//! What a figure or a finding is about.

use std::fmt;
use std::sync::Arc;

/// What a figure or a finding is about. Names are those of the configuration: how many there are is bounded by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Subject {
    /// The process as a whole.
    Process,
    /// A route, by its name.
    Route(Arc<str>),
    /// A target of a route, or a member of a group.
    Target {
        /// The name of the route, or `@` and the name of the group; empty for the target wherever it is.
        of: Arc<str>,
        /// The target, as the configuration names it.
        target: Arc<str>,
    },
    /// A listener: address and port.
    Listener(Arc<str>),
    /// A pool, by its name.
    Pool(Arc<str>),
    /// A limit, as `smartproxy limits` names it.
    Limit(Arc<str>),
    /// Another hop of the chain, by its name.
    Hop(Arc<str>),
    /// A worker, by its number.
    Worker(usize),
}

impl Subject {
    /// What kind of thing it is, in a word: `process`, `route`, `target`, `listener`, `pool`, `limit`, `hop` or `worker`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Route(_) => "route",
            Self::Target { .. } => "target",
            Self::Listener(_) => "listener",
            Self::Pool(_) => "pool",
            Self::Limit(_) => "limit",
            Self::Hop(_) => "hop",
            Self::Worker(_) => "worker",
        }
    }
}

/// As an operator reads it: `route api`, `target 10.0.0.1:80 of api`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process => f.write_str("the process"),
            Self::Target { of, target } if of.is_empty() => write!(f, "target {target}"),
            Self::Target { of, target } => write!(f, "target {target} of {of}"),
            Self::Route(name)
            | Self::Listener(name)
            | Self::Pool(name)
            | Self::Limit(name)
            | Self::Hop(name) => write!(f, "{} {name}", self.kind()),
            Self::Worker(number) => write!(f, "worker {number}"),
        }
    }
}
