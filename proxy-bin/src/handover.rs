//! Upgrade without loss: a new process takes the listening sockets over, then the old one finishes and goes.
//!
//! ```text
//! old                                              new
//!  │ starts its own program again, one end of a socket pair as its standard input
//!  ├── all listening sockets, with their names ───►│ reads its configuration, accepts on the sockets it wants,
//!  │                                               │ binds what is missing
//!  │◄── ready ─────────────────────────────────────┤ serves
//!  │ stops accepting, drains, goes                 │
//! ```
//! Both have the same sockets, so what is queued is served by whoever is there. If the new one does not get ready (it goes, or
//! takes too long), it is killed and the old one goes on as if nothing had been: it has never stopped accepting.
//!
//! What was counted in the past (history), and the keys of session tickets, go along as files in memory, by names that are no listener's.
//!
//! What it is not: a way to pass connections on. They live and die in the process that accepted them.

pub(crate) mod memory;
mod packet;
mod predecessor;
mod recall;
mod successor;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use proxy_core::listen::accept_error_is_shortage;

pub use packet::PacketError;
pub use predecessor::{Predecessor, predecessor};
pub use recall::Recall;
pub use successor::{Program, Successor, hand_over};

/// What tells a process that its standard input is the way to another one whose place it takes.
const VARIABLE: &str = "SMARTPROXY_TAKE_OVER";

/// A listening socket, by the name of its listener. A listener may have several.
#[derive(Debug)]
pub struct Passed<S = OwnedFd> {
    /// The listener's name.
    pub name: String,
    /// Its socket: owned where it was taken over; whatever has it where it is handed over.
    pub socket: S,
}

impl From<io::Error> for HandoverError {
    fn from(error: io::Error) -> Self {
        if accept_error_is_shortage(&error) { Self::Shortage(error) } else { Self::Broken(error) }
    }
}

/// Why nothing was handed over, or taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// The program is not there, or cannot be run.
    #[error("cannot start {}: {source}", path.display())]
    Start {
        /// Which program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says why it goes.
    #[error("the new process could not start: {0}")]
    Failed(String),
    /// It has gone before it was ready.
    #[error("the new process has gone before it was ready ({0}); its own lines say why")]
    Gone(ExitStatus),
    /// It was not ready in time, and was killed.
    #[error("the new process was not ready in {}s ([process] upgrade_timeout), and was killed", .0.as_secs_f64())]
    Late(Duration),
    /// It says something that is no answer, and was killed.
    #[error("the new process does not speak this version's protocol, and was killed: {0}")]
    Foreign(PacketError),
    /// This process is to stop, and the new one with it.
    #[error("the proxy was told to stop, and the new process with it")]
    Recalled,
    /// There is nothing left to hand over with.
    #[error("nothing can be handed over: {0}; raise the limit of open files (ulimit -n)")]
    Shortage(io::Error),
    /// The way to the other process fails.
    #[error("the other process cannot be spoken to: {0}")]
    Broken(io::Error),
    /// What came is no handover.
    #[error("standard input is no way to a process that hands over, although {VARIABLE} is set: {0}")]
    NoHandover(PacketError),
}
