//! Whether a process listens behind a Unix socket's file, and which.
//!
//! A socket's file says nothing of that: it stays when its process is killed, and another process can put its own in its
//! place. Only to connect tells, which never waits here: there is a queue with room, a queue without, or nobody.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::dial::begin_to_connect;
use crate::sys;

/// A process that listens, and a connection to it.
#[derive(Debug)]
pub struct Living {
    /// None where their queue was full.
    connection: Option<UnixStream>,
}

/// The process that listens behind the file at `path`; None where there is none, or no file. Does not block.
///
/// # Errors
/// Where it cannot be told: what is there is no socket of a stream, or may not be connected to.
pub fn who_listens(path: &Path) -> io::Result<Option<Living>> {
    let addr = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match begin_to_connect(&socket, &addr) {
        Ok(()) => Ok(Some(Living { connection: Some(socket.into()) })),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(Living { connection: None })),
        Err(error) if [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound].contains(&error.kind()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The process at the other end of a Unix socket, as it was when the two were joined, or when it began to listen; None where that
/// is not known.
#[must_use]
pub fn peer_process(socket: impl AsFd) -> Option<u32> {
    sys::peer_process(socket.as_fd())
}

impl Living {
    /// Its process, as it was when it began to listen; None where that is not known.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.connection.as_ref().and_then(peer_process)
    }

    /// The connection to it, which does not block; None where its queue was full.
    #[must_use]
    pub fn into_connection(self) -> Option<UnixStream> {
        self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    #[test]
    fn whoever_listens_is_found_and_a_file_alone_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.sock");
        assert!(who_listens(&path).unwrap().is_none(), "there is no file");
        let listener = UnixListener::bind(&path).unwrap();
        let living = who_listens(&path).unwrap().unwrap();
        assert_eq!(living.process(), Some(std::process::id()));
        assert!(living.into_connection().is_some());
        drop(listener);
        assert!(path.exists() && who_listens(&path).unwrap().is_none(), "the file outlives whoever made it");
    }

    #[test]
    fn who_does_not_accept_listens_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("full.sock");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        // A queue of length 0 takes one connection on Linux.
        let queued: Vec<_> = (0..3).map(|_| who_listens(&path).unwrap().unwrap()).collect();
        assert_eq!(queued.iter().filter(|living| living.process().is_none()).count(), 2);
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("datagrams.sock");
        let _other = UnixDatagram::bind(&path).unwrap();
        assert!(who_listens(&path).is_err());
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        // Nobody listens there, as the kernel has it.
        assert!(who_listens(&file).unwrap().is_none());
    }
}
