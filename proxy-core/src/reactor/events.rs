//! Events as the kernel tells them.

use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use super::slot::Event;

/// What every socket is registered for.
pub(super) const ALL: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::PRI)
    .union(EventFlags::ET);

/// How many events are taken at once: those of 256 connections with two ends each.
pub(super) const BATCH: usize = 512;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Room for the events of one call.
#[derive(Clone, Copy)]
pub(super) struct Batch([MaybeUninit<epoll::Event>; BATCH]);

impl Batch {
    pub(super) const EMPTY: Self = Self([MaybeUninit::uninit(); BATCH]);

    /// What has happened by now, and whether there may be more.
    pub(super) fn fill(&mut self, epoll: &OwnedFd) -> (&[epoll::Event], bool) {
        match epoll::wait(epoll, &mut self.0, Some(&AT_ONCE)) {
            Ok((events, _)) => (events, events.len() == BATCH),
            // It can only be interrupted: the descriptor is an epoll instance, and open.
            Err(_) => (&[], true),
        }
    }
}

/// What the kernel hands back with each event of a socket: its descriptor, and which registration of it.
pub(super) fn data(descriptor: RawFd, number: u32) -> EventData {
    EventData::new_u64(u64::from(number) << 32 | u64::from(descriptor.cast_unsigned()))
}

/// The descriptor, which registration of it, and what happened.
pub(super) fn read(event: &epoll::Event) -> (RawFd, u32, Event) {
    let (data, flags) = (event.data.u64(), event.flags);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves that were put together")]
    let (descriptor, number) = ((data as u32).cast_signed(), (data >> 32) as u32);
    (descriptor, number, meaning(flags))
}

/// What the flags of epoll(7) mean for whoever reads or writes.
fn meaning(flags: EventFlags) -> Event {
    let any = |of: EventFlags| flags.intersects(of);
    let all = |of: EventFlags| flags.contains(of);
    let ended = any(EventFlags::HUP);
    [
        (any(EventFlags::IN | EventFlags::PRI), Event::INPUT),
        (any(EventFlags::OUT), Event::ROOM),
        (ended || all(EventFlags::IN | EventFlags::RDHUP), Event::READ_END),
        (ended || all(EventFlags::OUT | EventFlags::ERR) || flags == EventFlags::ERR, Event::WRITE_END),
        (any(EventFlags::ERR), Event::ERROR),
        (any(EventFlags::PRI), Event::URGENT),
    ]
    .into_iter()
    .filter(|(is, _)| *is)
    .fold(Event::NONE, |all, (_, event)| all.or(event))
}
