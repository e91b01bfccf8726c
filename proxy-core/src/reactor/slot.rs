//! What is known of one socket, and who waits to know more.

use std::task::{Context, Waker};

use parking_lot::Mutex;

/// What may happen to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event(u8);

impl Event {
    pub(super) const NONE: Self = Self(0);
    /// There may be something to read.
    pub(crate) const INPUT: Self = Self(1);
    /// There may be room to write.
    pub(crate) const ROOM: Self = Self(1 << 1);
    /// The peer has ended its direction, or the connection is gone: reading goes on until it says so.
    pub(super) const READ_END: Self = Self(1 << 2);
    /// Nothing can be written any more.
    pub(super) const WRITE_END: Self = Self(1 << 3);

    /// It may be read from.
    pub(crate) const READABLE: Self = Self::INPUT.or(Self::READ_END);
    /// It may be written to.
    pub(crate) const WRITABLE: Self = Self::ROOM.or(Self::WRITE_END);
    /// It has broken.
    pub(crate) const ERROR: Self = Self(1 << 4);
    /// Urgent data was announced.
    pub(crate) const URGENT: Self = Self(1 << 5);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A socket's place among all.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: Mutex<State>,
    /// Which registration of its descriptor this is.
    pub(super) number: u32,
}

impl Slot {
    pub(super) const fn new(number: u32) -> Self {
        Self { state: Mutex::new(State { seen: Event::NONE, awaited: Event::NONE, waker: None }), number }
    }
}

/// What has happened to a socket, and what its task waits for.
#[derive(Debug)]
pub(crate) struct State {
    seen: Event,
    awaited: Event,
    /// The task that waited last. Kept when it is woken: it is going to wait again.
    waker: Option<Waker>,
}

impl State {
    /// Whether any of `event` has happened and nobody has cleared it.
    pub(crate) const fn has(&self, event: Event) -> bool {
        self.seen.intersects(event)
    }

    /// `event` is likely, so that it is tried without waiting to be told.
    pub(crate) const fn suppose(&mut self, event: Event) {
        self.seen = self.seen.or(event);
    }

    /// The kernel had no more of `event` when it was asked for more than there was. An end stays an end.
    pub(crate) const fn exhausted(&mut self, event: Event) {
        const ENDS: Event = Event::READ_END.or(Event::WRITE_END);
        self.seen = self.seen.without(event.without(ENDS));
    }

    /// The kernel says that it would block, whatever it reported before.
    pub(crate) const fn would_block(&mut self, event: Event) {
        self.seen = self.seen.without(event);
    }

    /// Has the task woken when any of `event` happens. There is one task: another takes its place.
    pub(crate) fn wait_for(&mut self, event: Event, cx: &Context<'_>) {
        self.awaited = self.awaited.or(event);
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    #[cfg(test)]
    pub(super) const fn seen(&self) -> Event {
        self.seen
    }

    /// `event` has happened; who is to be woken.
    pub(super) fn happened(&mut self, event: Event) -> Option<Waker> {
        self.seen = self.seen.or(event);
        if !self.awaited.intersects(event) {
            return None;
        }
        self.awaited = self.awaited.without(event);
        self.waker.clone()
    }
}
