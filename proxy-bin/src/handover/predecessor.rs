//! The new process's side.

use std::os::fd::OwnedFd;

use proxy_core::unix::peer_process;

use super::packet::{receive_sockets, send_failed, send_ready};
use super::{HandoverError, Passed, VARIABLE};

/// The process whose place this one takes. Dropped before it is told that this one is ready, it goes on.
#[derive(Debug)]
pub struct Predecessor(OwnedFd);

/// The process whose place this one takes, and its sockets; None where it was started by anybody else. Standard input leads
/// nowhere from then on.
///
/// # Errors
/// [`HandoverError`].
pub fn predecessor() -> Result<Option<(Predecessor, Vec<Passed>)>, HandoverError> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(None);
    }
    let way = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(std::io::Error::from)?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing).map_err(std::io::Error::from)?;
    let sockets = receive_sockets(&way).map_err(HandoverError::NoHandover)?;
    Ok(Some((Predecessor(way), sockets)))
}

impl Predecessor {
    /// Its process; 0 where it has no number here: it is in a namespace that is not seen from here.
    #[must_use]
    pub fn process(&self) -> u32 {
        peer_process(&self.0).unwrap_or(0)
    }

    /// Tells it that this process serves, and that it can go.
    ///
    /// # Errors
    /// Where it has gone already: there is nobody left to tell.
    pub fn ready(self) -> std::io::Result<()> {
        send_ready(&self.0)
    }
    /// Tells it that this process goes, and why.
    ///
    /// # Errors
    /// Where it has gone already: there is nobody left to tell.
    pub fn failed(self, why: &str) -> std::io::Result<()> {
        send_failed(&self.0, why)
    }
}
