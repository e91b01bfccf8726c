//! The room that a process has for connections.

use proxy_conn::Limit;
use tokio::sync::watch;
use tracing::info;

use crate::config::Config;
use crate::descriptors;

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

/// What the configuration says, or what there are descriptors for. Whoever starts the proxy has raised their limit before.
pub(super) fn max_connections(config: &Config) -> usize {
    config.limits.max_connections.map_or_else(|| room_for(config), |wanted| wanted.get() as usize)
}

/// For how many connections there are descriptors.
fn room_for(config: &Config) -> usize {
    let listening = config.listeners.len() as u64 * u64::from(config.workers.get());
    descriptors::room_for_connections(descriptors::limit(), listening)
}

/// What to tell an operator who wants more connections than there are descriptors for.
pub(crate) fn too_few_descriptors(config: &Config) -> Option<String> {
    let (room, wanted) = (room_for(config), config.limits.max_connections?.get() as usize);
    (wanted > room).then(|| {
        format!(
            "max_connections = {wanted}, but there are descriptors for {room} connections only: raise the limit of open \
             files and start anew, or lower max_connections"
        )
    })
}
