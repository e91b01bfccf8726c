//! The laws: what must hold of any proxy whenever all is quiet, as pure checks over plain data.
//!
//! ```text
//! Levels of a hop, before and now ──► at_rest ──┐
//! Entries of a hop, whenever looked ► overdue ──┤
//! phases a connection went through ─► path ─────┼──► Vec<Breach>
//! what both ends of a connection                │
//! sent, received and saw (Journey) ─► journey ──┘
//! ```
//! Whoever looks (the simulated world, a test on real sockets, a runner that sees a proxy from outside) says what it saw;
//! what it can not see it leaves out, and no law is broken by it.
//!
//! What they are not: they wait for nothing and open nothing, and they know no particular proxy.

mod journey;
mod levels;
mod path;

use std::fmt;

pub use journey::{Did, Journey, Party, Saw, journey};
pub use levels::{Entry, Levels, Memory, at_rest, overdue};
pub use path::path;

macro_rules! laws {
    ($($(#[$meta:meta])* $law:ident = $name:literal, $meaning:literal;)*) => {
        /// What must hold of a proxy in which connections cannot accumulate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Law {
            $(#[doc = $meaning] $law,)*
        }

        impl Law {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$law,)*];

            /// Its short name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$law => $name,)* }
            }

            /// What it says, in one line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$law => $meaning,)* }
            }
        }
    };
}

laws! {
    TrackerEmpty = "tracker-empty", "When everybody has gone, no connection is in the table.";
    CountsBack = "counts-back", "When everybody has gone, every permit, gauge and pipe has been given back.";
    OpenedEnded = "opened-ended", "As many connections have ended, once each, as were opened, and none by a fault of the proxy.";
    LegalPhases = "legal-phases", "Each connection goes from phase to phase as the transition table allows.";
    DeadlinesKept = "deadlines-kept", "Nothing outlives its deadline by more than a tick.";
    BytesTrue = "bytes-true", "Bytes received are a prefix of those sent and, where the end is clean, all of them.";
    EndsTravel = "ends-travel", "A FIN arrives as a FIN, a reset as a reset, both soon, and no end is made up.";
    SocketsBack = "sockets-back", "When everybody has gone, as many sockets and descriptors are open as before.";
    TasksBack = "tasks-back", "When everybody has gone, as many tasks run as before.";
    LivingKept = "living-kept", "A peer that takes or gives a byte within its deadline, however slowly, is never ended by it.";
    MemoryBack = "memory-back", "Traffic that was there before takes no more memory when it comes again.";
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub law: Law,
    /// By whom: the name of a hop or of a connection.
    pub hop: String,
    /// What was seen.
    pub detail: String,
}

impl Breach {
    /// A breach of `law` by `hop`.
    #[must_use]
    pub fn new(law: Law, hop: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { law, hop: hop.into(), detail: detail.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken by {}: {}", self.law, self.hop, self.detail)
    }
}

#[cfg(test)]
mod tests;
