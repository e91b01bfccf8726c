//! The floor: the least that relaying between two sockets costs on this machine.
//!
//! One thread, one epoll, one buffer, `splice` once a read has filled the buffer. No timers, limits, log, tracking,
//! routes, resolution or orderly errors: it is no proxy to be used, but what a proxy's cost is to be compared with.

mod pair;

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with, sockopt,
};

use crate::poller::{Poller, Ready};
use crate::slab::Slab;
use pair::{Pair, Pipes};

const LISTENER: u64 = u64::MAX;
const BACKLOG: i32 = 4096;
/// One read's worth: HAProxy's and nginx's 16 KiB, four times.
const BUFFER: usize = 64 * 1024;

/// A floor that listens.
pub(crate) struct Floor {
    poller: Poller,
    listener: OwnedFd,
    to: SocketAddrV4,
    pairs: Slab<Pair>,
    pipes: Pipes,
    buffer: Vec<u8>,
    finished: Vec<u32>,
}

impl Floor {
    /// Listens at `from`. With `port_shared`, others may listen there too.
    pub(crate) fn new(from: SocketAddrV4, to: SocketAddrV4, port_shared: bool) -> io::Result<Self> {
        let (poller, listener) = (Poller::new()?, listener(from, port_shared)?);
        poller.add_listener(&listener, LISTENER)?;
        let buffer = vec![0; BUFFER];
        Ok(Self {
            poller,
            listener,
            to,
            pairs: Slab::new(),
            pipes: Pipes::default(),
            buffer,
            finished: Vec::new(),
        })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(crate) fn addr(&self) -> io::Result<SocketAddrV4> {
        Ok(SocketAddrV4::try_from(rustix::net::getsockname(&self.listener)?)?)
    }

    /// Relays every connection, for ever.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut batch = Vec::new();
        loop {
            self.poller.wait(None, &mut batch)?;
            for ready in &batch {
                self.serve(*ready)?;
            }
            // Not before: their numbers may still be in the batch, for the other side.
            for number in self.finished.drain(..) {
                self.pairs.remove(number);
            }
        }
    }

    fn serve(&mut self, ready: Ready) -> io::Result<()> {
        if ready.token == LISTENER {
            return self.accept();
        }
        let number = u32::try_from(ready.token >> 1).unwrap_or(u32::MAX);
        let Some(pair) = self.pairs.get_mut(number) else { return Ok(()) };
        let side = usize::from(ready.token & 1 == 1);
        if pair.is_open()
            && !pair.serve(side, ready.ended, &mut self.buffer, &mut self.pipes).unwrap_or(false)
        {
            pair.close();
            self.finished.push(number);
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        loop {
            let client = match accept_with(&self.listener, flags) {
                Ok(client) => client,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            let backend = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
            match connect(&backend, &self.to) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(_) => continue,
            }
            let token = u64::from(self.pairs.next()) << 1;
            self.poller.add(&client, token)?;
            self.poller.add(&backend, token | 1)?;
            self.pairs.insert(Pair::new(client, backend));
        }
    }
}

fn listener(at: SocketAddrV4, port_shared: bool) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_socket_reuseport(&listener, port_shared)?;
    bind(&listener, &at)?;
    listen(&listener, BACKLOG)?;
    Ok(listener)
}
