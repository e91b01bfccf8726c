//! The backends: what is behind the proxy.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, getsockname, listen, socket_with, sockopt,
};

use super::BACKEND;
use super::client::{discard, put, take};
use crate::poller::{Poller, Ready};
use crate::slab::Slab;

/// The listening socket's token; connections have theirs from 0 on.
const LISTENER: u64 = BACKEND | (1 << 62);
const BACKLOG: i32 = 4096;
/// The byte that says what to do, and a length.
const ORDER: usize = 9;

#[derive(Debug)]
pub(super) struct Backends {
    listener: OwnedFd,
    addr: SocketAddrV4,
    conns: Slab<Conn>,
}

#[derive(Debug)]
struct Conn {
    fd: OwnedFd,
    job: Job,
}

#[derive(Debug)]
enum Job {
    /// Nothing was received yet.
    New,
    /// Sends back what it gets; what was not taken yet.
    Echo(Vec<u8>),
    /// So many bytes are still to come.
    Sink(u64),
    /// So many bytes are still to be sent.
    Source(u64),
}

impl Backends {
    pub(super) fn new(poller: &Poller) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        // Accepted connections inherit it.
        sockopt::set_tcp_nodelay(&listener, true)?;
        bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        listen(&listener, BACKLOG)?;
        poller.add_listener(&listener, LISTENER)?;
        let addr = SocketAddrV4::try_from(getsockname(&listener)?)?;
        Ok(Self { listener, addr, conns: Slab::new() })
    }

    pub(super) const fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    pub(super) fn serve(&mut self, poller: &Poller, ready: Ready, chunk: &mut [u8]) -> io::Result<()> {
        if ready.token == LISTENER {
            return self.accept(poller);
        }
        let Ok(number) = u32::try_from(ready.token & !BACKEND) else { return Ok(()) };
        let Some(conn) = self.conns.get_mut(number) else { return Ok(()) };
        // However it ended, it ends here: the client's side says whether it was too early.
        if !conn.serve(ready.ended, chunk).unwrap_or(false) {
            self.conns.remove(number);
        }
        Ok(())
    }

    fn accept(&mut self, poller: &Poller) -> io::Result<()> {
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(fd) => {
                    poller.add(&fd, BACKEND | u64::from(self.conns.next()))?;
                    self.conns.insert(Conn { fd, job: Job::New });
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Conn {
    /// Does what can be done now; false once the connection is over.
    fn serve(&mut self, ended: bool, chunk: &mut [u8]) -> io::Result<bool> {
        loop {
            let goes_on = match &mut self.job {
                Job::New => match take(&self.fd, chunk)? {
                    None => return Ok(true),
                    Some(0) => return Ok(false),
                    Some(n) => {
                        self.job = begin(&self.fd, chunk.get(..n).unwrap_or_default())?;
                        ended || n == chunk.len() || matches!(self.job, Job::Source(_))
                    }
                },
                Job::Echo(pending) => match echo(&self.fd, pending, chunk)? {
                    Step::Ended => return Ok(false),
                    Step::Waits => return Ok(true),
                    Step::Moved { all } => ended || !all,
                },
                Job::Sink(left) => match discard(&self.fd, chunk)? {
                    None => return Ok(true),
                    Some(0) => return Ok(false),
                    Some(n) => {
                        answer(&self.fd, left, n as u64)?;
                        ended || n == chunk.len()
                    }
                },
                Job::Source(0) => return Ok(take(&self.fd, chunk)? != Some(0)),
                Job::Source(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
                    match put(&self.fd, chunk.get(..most).unwrap_or_default())? {
                        None => return Ok(true),
                        Some(n) => *left -= n as u64,
                    }
                    true
                }
            };
            if !goes_on {
                return Ok(true);
            }
        }
    }
}

/// What the first bytes order.
fn begin(fd: &OwnedFd, first: &[u8]) -> io::Result<Job> {
    let order = |first: &[u8]| {
        let length = first.get(1..ORDER).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the order came in pieces"))
    };
    match first.first() {
        Some(b'U') => {
            let mut left = order(first)?;
            answer(fd, &mut left, first.len().saturating_sub(ORDER) as u64)?;
            Ok(Job::Sink(left))
        }
        Some(b'D') => Ok(Job::Source(order(first)?)),
        _ => {
            let sent = put(fd, first)?.unwrap_or(0);
            Ok(Job::Echo(first.get(sent..).unwrap_or_default().to_vec()))
        }
    }
}

/// Counts `n` bytes, and answers when all are there.
fn answer(fd: &OwnedFd, left: &mut u64, n: u64) -> io::Result<()> {
    *left = left.saturating_sub(n);
    if *left == 0 {
        put(fd, b"k")?;
    }
    Ok(())
}

enum Step {
    /// There is nothing to read, or no room to write.
    Waits,
    /// The peer has ended.
    Ended,
    /// Something was sent back; `all`: less was there than would have been read.
    Moved { all: bool },
}

fn echo(fd: &OwnedFd, pending: &mut Vec<u8>, chunk: &mut [u8]) -> io::Result<Step> {
    while !pending.is_empty() {
        let Some(n) = put(fd, pending)? else { return Ok(Step::Waits) };
        pending.drain(..n);
    }
    let n = match take(fd, chunk)? {
        None => return Ok(Step::Waits),
        Some(0) => return Ok(Step::Ended),
        Some(n) => n,
    };
    let bytes = chunk.get(..n).unwrap_or_default();
    let sent = put(fd, bytes)?.unwrap_or(0);
    pending.extend_from_slice(bytes.get(sent..).unwrap_or_default());
    if pending.is_empty() {
        pending.shrink_to_fit();
    }
    Ok(Step::Moved { all: n < chunk.len() && pending.is_empty() })
}
