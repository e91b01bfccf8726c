//! The load: clients and the backends they are proxied to, in one thread, so that all of it fits on one core beside a
//! proxy that has the other.
//!
//! ```text
//!            ┌───────────── this thread, one epoll ─────────────┐
//!    clients 127.0.0.2 … 127.0.0.201                        backends
//!            └────► proxy (another process and core) ───────────┘
//! ```
//! A connection says with its first byte what its backend is to do:
//!
//! | byte | then | backend |
//! |---|---|---|
//! | `E` | anything | sends back what it gets |
//! | `U` | length (8 bytes, little-endian), as many bytes | takes them, then sends one byte |
//! | `D` | length | sends as many bytes |
//!
//! Everything is bounded, in count and in time: a load that is not done at its deadline is an error, and so is every
//! connection that ends early.

mod backends;
mod bulk;
mod client;
mod idle;
mod round_trips;
mod short;
mod tls;

use std::io;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::clock;
use crate::poller::{Poller, Ready};
use crate::slab::Slab;
use backends::Backends;
use client::Client;
pub(crate) use tls::Tls;

/// Tokens of backends have this bit; the others are clients.
const BACKEND: u64 = 1 << 63;
/// The longest a load waits without looking at its deadline.
const LOOK: Duration = Duration::from_millis(100);
/// As much as is read or written at once.
const CHUNK: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Load {
    poller: Poller,
    backends: Backends,
    clients: Slab<Client>,
    /// Those of the last batch that are for clients.
    ready: Vec<Ready>,
    batch: Vec<Ready>,
    /// What is received.
    chunk: Box<[u8]>,
    /// What is sent: `E`s.
    text: Box<[u8]>,
    deadline: Instant,
    opened: u32,
    /// What clients speak, where it is TLS.
    tls: Option<Tls>,
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Done {
    /// From the first connection to the last answer.
    pub(crate) wall: Duration,
    /// Of one round trip: the median, and what 99 of 100 stay below. Zero where none was measured.
    pub(crate) latency: [Duration; 2],
}

impl Load {
    /// A load with its backends listening on a free port.
    pub(crate) fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        let backends = Backends::new(&poller)?;
        Ok(Self {
            poller,
            backends,
            clients: Slab::new(),
            ready: Vec::new(),
            batch: Vec::new(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            text: vec![b'E'; CHUNK].into_boxed_slice(),
            deadline: clock::now(),
            opened: 0,
            tls: None,
        })
    }

    /// Where the backends are.
    pub(crate) const fn backends(&self) -> SocketAddrV4 {
        self.backends.addr()
    }

    /// From now on clients speak TLS like this, or none.
    pub(crate) fn speak(&mut self, tls: Option<Tls>) {
        self.tls = tls;
    }

    /// Everything from here on has to be done within `bound`.
    pub(crate) fn bound(&mut self, bound: Duration) {
        self.deadline = clock::now() + bound;
    }

    /// Serves backends until `done`, which is asked after every batch and at least every 100 ms.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> io::Result<()> {
        while !done(self) {
            self.turn(LOOK)?;
        }
        Ok(())
    }

    /// Serves backends for `time`.
    pub(crate) fn rest(&mut self, time: Duration) -> io::Result<()> {
        let end = clock::now() + time;
        loop {
            let left = end.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left.min(LOOK))?;
        }
    }

    /// Waits until no backend has a connection: the proxy has closed everything.
    pub(crate) fn until_quiet(&mut self) -> io::Result<()> {
        self.until(|load| load.backends.len() == 0)
    }

    /// Connections that backends have.
    pub(crate) fn at_backends(&self) -> usize {
        self.backends.len()
    }

    /// One batch: what concerns backends is done, what concerns clients is in `ready`.
    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        if clock::now() > self.deadline {
            let (clients, backends) = (self.clients.len(), self.backends.len());
            let open = format!("not done in time: {clients} clients, {backends} backends are open");
            return Err(io::Error::new(io::ErrorKind::TimedOut, open));
        }
        self.ready.clear();
        self.poller.wait(Some(wait), &mut self.batch)?;
        for ready in &self.batch {
            if ready.token & BACKEND == 0 {
                self.ready.push(*ready);
            } else {
                self.backends.serve(&self.poller, *ready, &mut self.chunk)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
