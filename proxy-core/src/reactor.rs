//! Which sockets are ready: an epoll instance for each worker's sockets, below the runtime's own.
//!
//! The runtime's reactor serves everything else, and this one is a descriptor among others to it: a task of ours waits until
//! that is readable, asks the kernel once which sockets are, and wakes their tasks. What that buys: a socket takes 48 bytes
//! here instead of 256, since it has one task that waits for it and not a list of them; and closing it is all it takes to
//! be rid of it, where the runtime first asks the kernel to forget it. What it costs: one `epoll_wait` more for each turn,
//! however many sockets there are in it.
//!
//! Everything is registered once, edge-triggered, for all that may happen.

mod events;
mod slot;

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::Mutex;
use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Handle};

use events::Batch;
use slot::Slot;

use crate::sys;

pub(crate) use slot::{Event, State};

thread_local! {
    /// The reactors of this thread, by their runtimes: one, but for whoever runs several in turn.
    static HERE: RefCell<Vec<(runtime::Id, Weak<Reactor>)>> = const { RefCell::new(Vec::new()) };
}

/// A reactor that was made before its thread was there. It lives as long as its runtime, whether this is kept or not.
#[derive(Debug)]
pub struct Opened {
    runtime: runtime::Id,
    reactor: Weak<Reactor>,
}

/// Makes a reactor for the runtime that has been entered, now. Else the first socket does, and where no descriptor is left
/// then it is the socket that fails.
///
/// # Errors
/// Outside of a runtime, in one without a reactor of its own, and where there is no descriptor left.
pub fn open() -> io::Result<Opened> {
    let runtime = Handle::try_current().map_err(io::Error::other)?;
    Ok(Opened { runtime: runtime.id(), reactor: Arc::downgrade(&Reactor::start(&runtime)?) })
}

impl Opened {
    /// From now on this thread registers its sockets of that runtime there.
    pub fn use_here(self) {
        HERE.with_borrow_mut(|here| here.insert(0, (self.runtime, self.reactor)));
    }
}

/// An epoll instance, and who waits for what it reports. It lives as long as the task that asks it.
#[derive(Debug)]
struct Reactor {
    epoll: AsyncFd<OwnedFd>,
    slots: Mutex<Slots>,
}

/// The slots of all sockets, by descriptor: these are small and dense, because the kernel always takes the lowest.
#[derive(Debug)]
struct Slots {
    by_descriptor: Vec<Option<Arc<Slot>>>,
    registered: u32,
}

/// A socket's place in a reactor, until it is dropped. It must be dropped before the socket is closed: from then on the
/// number is another's.
#[derive(Debug)]
pub(crate) struct Place {
    slot: Arc<Slot>,
    descriptor: RawFd,
    reactor: Weak<Reactor>,
}

/// Registers a socket with the reactor of this thread and its runtime, which may be another one by the time that the socket
/// is ready: it is woken all the same.
///
/// # Errors
/// Outside of a runtime, and what the kernel says.
pub(crate) fn register(socket: &OwnedFd) -> io::Result<Place> {
    let (reactor, descriptor) = (here()?, socket.as_raw_fd());
    let slot = reactor.slots.lock().insert(descriptor)?;
    // From here on it is taken out again, however this ends.
    let place = Place { slot, descriptor, reactor: Arc::downgrade(&reactor) };
    epoll::add(reactor.epoll.get_ref(), socket, events::data(descriptor, place.slot.number), events::ALL)?;
    Ok(place)
}

impl Place {
    /// What is known of the socket. Held while it is read from or written to: what the kernel reports meanwhile comes after.
    pub(crate) fn lock(&self) -> impl std::ops::DerefMut<Target = State> + '_ {
        self.slot.state.lock()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(reactor) = self.reactor.upgrade() {
            reactor.slots.lock().remove(self.descriptor);
        }
    }
}

/// Asks the kernel now what has happened to this thread's sockets, and wakes who waits for it. For who finds a deadline
/// passed: a worker that was stopped, or late, has not been told yet of what came in time.
pub(crate) fn catch_up() {
    let Ok(runtime) = Handle::try_current() else { return };
    let known = HERE
        .with_borrow(|here| here.iter().find(|(id, _)| *id == runtime.id()).and_then(|(_, it)| it.upgrade()));
    let Some(reactor) = known else { return };
    let mut woken = Vec::new();
    while reactor.take(&mut woken) {}
    // Not under a lock, as in `ask`.
    woken.drain(..).for_each(Waker::wake);
}

/// The reactor of this thread and its runtime.
fn here() -> io::Result<Arc<Reactor>> {
    let runtime = Handle::try_current().map_err(io::Error::other)?;
    HERE.with_borrow_mut(|here| {
        let known = here.iter().find(|(id, _)| *id == runtime.id());
        if let Some(reactor) = known.and_then(|(_, reactor)| reactor.upgrade()) {
            return Ok(reactor);
        }
        here.retain(|(_, reactor)| reactor.strong_count() > 0);
        let reactor = Reactor::start(&runtime)?;
        here.push((runtime.id(), Arc::downgrade(&reactor)));
        Ok(reactor)
    })
}

/// Wakes whoever waits, until the runtime shuts down.
async fn ask(reactor: Arc<Reactor>) {
    let mut woken = Vec::with_capacity(events::BATCH);
    while let Ok(mut readable) = reactor.epoll.readable().await {
        // Where there may be more it stays readable, and is asked again.
        if !reactor.take(&mut woken) {
            readable.clear_ready();
        }
        // Not under the lock: a runtime that shuts down may drop a task instead of waking it, and with it its sockets.
        woken.drain(..).for_each(Waker::wake);
    }
}

impl Reactor {
    /// A new one, which `runtime` asks from now on; it has been entered.
    fn start(runtime: &Handle) -> io::Result<Arc<Self>> {
        let epoll = sys::register(epoll::create(epoll::CreateFlags::CLOEXEC)?, Interest::READABLE)?;
        let reactor = Arc::new(Self { epoll, slots: Mutex::new(Slots::new()) });
        // No connection's task: it ends with the runtime.
        runtime.spawn(ask(Arc::clone(&reactor)));
        Ok(reactor)
    }

    /// Takes a batch of events, and says who is to be woken for them; whether there may be more.
    fn take(&self, woken: &mut Vec<Waker>) -> bool {
        let mut batch = Batch::EMPTY;
        let (events, more) = batch.fill(self.epoll.get_ref());
        let slots = self.slots.lock();
        for event in events {
            let (descriptor, number, event) = events::read(event);
            // A descriptor that was closed while a child process had it too is reported until that one closes it.
            if let Some(slot) = slots.find(descriptor).filter(|slot| slot.number == number) {
                woken.extend(slot.state.lock().happened(event));
            }
        }
        more
    }
}

impl Slots {
    /// There is room for as many at all times: 8 KiB.
    const FEW: usize = 1024;

    fn new() -> Self {
        Self { by_descriptor: Vec::with_capacity(Self::FEW), registered: 0 }
    }

    fn find(&self, descriptor: RawFd) -> Option<&Arc<Slot>> {
        self.by_descriptor.get(usize::try_from(descriptor).ok()?)?.as_ref()
    }

    fn insert(&mut self, descriptor: RawFd) -> io::Result<Arc<Slot>> {
        let at = usize::try_from(descriptor).map_err(io::Error::other)?;
        if self.by_descriptor.len() <= at {
            self.by_descriptor.resize(at + 1, None);
        }
        self.registered = self.registered.wrapping_add(1);
        let slot = Arc::new(Slot::new(self.registered));
        if let Some(place) = self.by_descriptor.get_mut(at) {
            *place = Some(Arc::clone(&slot));
        }
        Ok(slot)
    }

    fn remove(&mut self, descriptor: RawFd) {
        let place = usize::try_from(descriptor).ok().and_then(|at| self.by_descriptor.get_mut(at));
        place.map(Option::take);
        while self.by_descriptor.last().is_some_and(Option::is_none) {
            self.by_descriptor.pop();
        }
        if self.by_descriptor.capacity() > Self::FEW.max(4 * self.by_descriptor.len()) {
            self.by_descriptor.shrink_to(Self::FEW.max(2 * self.by_descriptor.len()));
        }
    }
}

#[cfg(test)]
mod tests;
