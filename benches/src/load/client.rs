//! One client's socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
    sockopt,
};

use super::tls::{ClientTls, Tls};
use crate::clock;

/// Client addresses, 127.0.0.2 and on: each has 28 000 ports, and the proxy's table of clients has something in it.
const SOURCES: u32 = 200;

#[derive(Debug)]
pub(super) struct Client {
    fd: OwnedFd,
    /// Where it speaks TLS.
    tls: Option<Box<ClientTls>>,
    /// Bytes of the current message that are still to be sent and to be received.
    pub(super) to_send: u64,
    pub(super) to_receive: u64,
    /// When the current message was begun.
    pub(super) since: Instant,
}

impl Client {
    /// The `nth` connection to `to`, begun, with TLS where it is `tls`.
    pub(super) fn dial(nth: u32, to: SocketAddrV4, tls: Option<&Tls>) -> io::Result<Self> {
        let (fd, tls) = (dial(nth, to)?, tls.map(Tls::begin).transpose()?);
        Ok(Self { fd, tls, to_send: 0, to_receive: 0, since: clock::now() })
    }

    /// Writes once; None where nothing is taken now. What TLS takes before its handshake is done goes behind it.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match &mut self.tls {
            None => put(&self.fd, bytes),
            Some(tls) => tls.put(&self.fd, bytes),
        }
    }

    /// Reads once; None where nothing is there now.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match &mut self.tls {
            None => take(&self.fd, buffer),
            Some(tls) => tls.take(&self.fd, buffer),
        }
    }

    /// Drops as many received bytes as are there, `most` at most.
    pub(super) fn discard(&mut self, most: &mut [u8]) -> io::Result<Option<usize>> {
        match &mut self.tls {
            None => discard(&self.fd, most),
            Some(tls) => tls.take(&self.fd, most),
        }
    }

    /// Whether its session is one of before.
    pub(super) fn was_resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.was_resumed())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.end(&self.fd);
        }
    }
}

/// The `nth` connection to `to`, begun.
fn dial(nth: u32, to: SocketAddrV4) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    let source = Ipv4Addr::from(0x7F00_0002 + nth % SOURCES);
    bind(&fd, &SocketAddrV4::new(source, 0))?;
    match connect(&fd, &to) {
        // On loopback it is connected by now, unless the proxy's queue is full; a write tells.
        Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// Writes once; None where nothing is taken now.
pub(super) fn put(fd: &OwnedFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    match send(fd, bytes, SendFlags::NOSIGNAL) {
        Ok(n) => Ok(Some(n)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads once; None where nothing is there now.
pub(super) fn take(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    taken(recv(fd, buffer, RecvFlags::empty()).map(|(n, _)| n))
}

/// Drops as many received bytes as are there, `most` at most, without looking at them: what a backend costs that only
/// counts.
pub(super) fn discard(fd: &OwnedFd, most: &mut [u8]) -> io::Result<Option<usize>> {
    taken(recv(fd, most, RecvFlags::TRUNC).map(|(_, n)| n))
}

fn taken(outcome: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(n) => Ok(Some(n)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A connection that ended before it should.
pub(super) fn early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the proxy ended a connection early")
}
