//! One epoll instance and what it last reported.
//!
//! Everything is registered once, for both directions and edge-triggered: one `epoll_ctl` a socket is what the load may
//! cost at least, and the floor too.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

/// How many events are taken at once: enough for whole batches of 64 connections with two ends each.
const BATCH: usize = 256;

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    batch: Box<[MaybeUninit<Event>; BATCH]>,
}

/// Something happened to the socket of `token`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    /// The peer has ended its direction, or the connection is gone: reads have to go on until they say so.
    pub(crate) ended: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, batch: Box::new([MaybeUninit::uninit(); BATCH]) })
    }

    /// Registers a socket, for as long as it is open.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), flags)?)
    }

    /// Registers a listening socket; it is reported for as long as somebody waits.
    pub(crate) fn add_listener(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN)?)
    }

    /// Waits for at most `bound`, and puts what happened into `ready`.
    pub(crate) fn wait(&mut self, bound: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let bound = bound.and_then(|bound| Timespec::try_from(bound).ok());
        let events = match epoll::wait(&self.epoll, self.batch.as_mut_slice(), bound.as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        ready.extend(events.iter().map(|event| {
            let (token, flags) = (event.data.u64(), event.flags);
            Ready { token, ended: flags.intersects(end) }
        }));
        Ok(())
    }
}
