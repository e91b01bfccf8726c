//! The room that a process has for connections.

use proxy_conn::Limit;
use tokio::sync::watch;
use tracing::info;

/// The places of a process.
#[derive(Debug)]
pub(crate) struct Room {
    connections: Limit,
    /// Whether all are taken. While they are nothing is accepted; set by [`taken`](Self::taken), cleared by
    /// [`given_back`](Self::given_back).
    pub(crate) full: watch::Sender<bool>,
}

impl Room {
    /// Room as `connections` says.
    pub(super) fn new(connections: Limit) -> Self {
        Self { connections, full: watch::Sender::new(false) }
    }

    /// Tells the accept loops if the last place was just taken.
    pub(crate) fn taken(&self) {
        let (in_use, most) = (self.connections.in_use(), self.connections.most());
        if in_use >= most && !self.full.send_replace(true) {
            info!(connections = in_use, "no room: not accepting");
        }
    }

    /// Tells them if there is room again: not before a sixteenth is free, for a limit that is just met would be met again at
    /// once.
    pub(crate) fn given_back(&self) {
        let (in_use, most) = (self.connections.in_use(), self.connections.most());
        if *self.full.borrow() && in_use <= most - most.div_ceil(16) && self.full.send_replace(false) {
            info!(connections = in_use, "room again: accepting");
        }
    }
}
