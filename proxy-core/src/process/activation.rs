//! Socket activation: the sockets that the service manager opened and started this process with (`sd_listen_fds(3)`).

use std::os::fd::OwnedFd;

/// Takes the sockets that this process was started with. Call it first of all in `main`: they are known by their descriptor
/// numbers alone. They are handed out once; a second call returns none.
///
/// # Errors
/// Where one of them is not there: they are not what the environment says.
pub fn activated() -> Result<Vec<OwnedFd>, ActivationError> {
    crate::sys::activated()
}

/// The environment promises sockets that are not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "LISTEN_FDS promises {promised} sockets from descriptor 3 on, but descriptor {descriptor} {why}: start it with the sockets, \
     or without LISTEN_FDS"
)]
pub struct ActivationError {
    /// How many sockets there should be.
    pub promised: u32,
    /// The first that is none.
    pub descriptor: i32,
    /// What is wrong with it.
    pub why: NoSocket,
}

/// Why a number is no socket for this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSocket {
    /// Nothing has this number.
    #[error("is not open")]
    Closed,
    /// It is a file, a pipe, or something else.
    #[error("is no socket")]
    Other,
    /// This process has opened it itself.
    #[error("is this process's own")]
    Own,
}
