//! How many connections a process has capacity for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proxy_conn::Limit;
use tokio::sync::watch;

use crate::descriptors::{self, Needs};
use crate::settings::Settings;

/// The places of a process: whether all are taken, and whether somebody waits for one.
#[derive(Debug)]
pub(crate) struct Capacity {
    connections: Limit,
    /// Whether all are taken. While they are nothing is accepted; set by [`acquired`](Self::acquired), cleared by
    /// [`released`](Self::released).
    pub(crate) full: watch::Sender<bool>,
    /// How often all were taken.
    fillings: AtomicU64,
    /// Whether somebody has been waiting for a place since this was last asked.
    wanted: AtomicBool,
}

impl Capacity {
    /// Capacity as `connections` says.
    pub(super) fn new(connections: Limit) -> Self {
        let (fillings, wanted) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { connections, full: watch::Sender::new(false), fillings, wanted }
    }

    /// Tells the accept loops if the last place was just taken.
    pub(crate) fn acquired(&self) {
        let (in_use, most) = (self.connections.in_use(), self.connections.most());
        if in_use >= most && !self.full.send_replace(true) {
            self.fillings.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells them if there is room again: not before a sixteenth is free, for a limit that is just met would be met again at
    /// once.
    pub(crate) fn released(&self) {
        let (in_use, most) = (self.connections.in_use(), self.connections.most());
        if *self.full.borrow() && in_use <= most - most.div_ceil(16) {
            self.full.send_replace(false);
        }
    }

    /// Somebody waits to be accepted, and cannot be for want of room.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody did since this was last asked.
    pub(crate) fn was_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Whether it is full, how often it has been so far, and how many connections it is full with.
    pub(crate) fn view(&self) -> (bool, u64, usize) {
        (*self.full.borrow(), self.fillings.load(Ordering::Relaxed), self.connections.in_use())
    }
}

/// What the configuration says, or what there are descriptors for. Whoever starts the proxy has raised their limit before.
pub(super) fn max_connections(settings: &Settings) -> usize {
    let room = || Needs::of(settings).room(descriptors::limit());
    settings.max_connections.map_or_else(room, |wanted| wanted.get() as usize)
}

/// What to tell an operator who gets fewer connections than they want, or hardly any.
#[must_use]
pub fn too_few_descriptors(settings: &Settings) -> Option<String> {
    descriptors::too_few(settings, descriptors::limit())
}
