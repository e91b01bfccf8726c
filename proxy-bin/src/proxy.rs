//! What all connections of a process share: the configuration in force, and the counts that go with it.

use std::fmt;
use std::sync::Arc;

use proxy_conn::{AddressLimits, Limit, Tracker};
use proxy_core::{Dial, Resolver};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::{Config, Connections, ListenerConfig};
use crate::descriptors;
use crate::pool::Pool;
use crate::target::RouteTargets;

/// The configuration in force, the table of connections, the limits, and the way to backends.
pub struct Proxy<D> {
    /// The configuration in force.
    pub config: Config,
    /// Every connection, from accept to its end.
    pub tracker: Arc<Tracker>,
    /// How many connections may be open at once, from accept on.
    pub connections: Limit,
    /// Whether all of those are open. While they are nothing is accepted; set by [`taken`](Self::taken), cleared by
    /// [`given_back`](Self::given_back).
    pub(crate) full: watch::Sender<bool>,
    /// What each client may have; None where clients are not limited.
    pub clients: Option<AddressLimits>,
    /// The pools, by their numbers.
    pub pools: Vec<Pool>,
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<Arc<Listener>>,
    /// What is counted for each route, by its place in the table.
    pub routes: Vec<RouteState>,
    /// How backends are reached.
    pub dialer: D,
    /// How their names are resolved.
    pub resolver: Resolver,
}

/// What is counted for a route.
#[derive(Debug)]
pub struct RouteState {
    /// How many connections it may have; None where that is not limited.
    pub limit: Option<Limit>,
    /// Its targets' limits and breakers.
    pub targets: RouteTargets,
}

/// A listener: its configuration, and what is counted for it, for all workers together.
#[derive(Debug)]
pub struct Listener {
    /// Its configuration.
    pub config: ListenerConfig,
    /// Its name, as every connection's entry has it.
    pub label: Arc<str>,
    /// How many connections it may have; None where that is not limited.
    pub limit: Option<Limit>,
}

impl Listener {
    /// A listener with nothing counted yet.
    #[must_use]
    pub fn new(config: &ListenerConfig) -> Arc<Self> {
        let limit = limit(config.max_connections);
        Arc::new(Self { label: config.label.as_str().into(), limit, config: config.clone() })
    }
}

impl<D: Dial> Proxy<D> {
    /// A proxy that has served nobody yet.
    #[must_use]
    pub fn new(config: Config, tracker: Arc<Tracker>, dialer: D, resolver: Resolver) -> Self {
        let connections = Limit::new(max_connections(&config));
        let pools = config.pools.iter().map(|pool| Pool::new(pool, connections.most())).collect();
        let state = |route: &crate::config::RouteConfig| RouteState {
            limit: limit(route.max_connections),
            targets: RouteTargets::new(route),
        };
        let routes = config.routes.routes().map(|route| state(route.payload)).collect();
        let clients = config.clients.map(AddressLimits::new);
        let listeners = config.listeners.iter().map(Listener::new).collect();
        let full = watch::Sender::new(false);
        Self { tracker, connections, full, clients, pools, listeners, routes, dialer, resolver, config }
    }
}

impl<D> Proxy<D> {
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

/// The limit that a configuration sets; None where it sets none.
pub(crate) fn limit(most: Option<Connections>) -> Option<Limit> {
    most.map(|most| Limit::new(most.get() as usize))
}

/// What the configuration says, or what there are descriptors for. Whoever starts the proxy has raised their limit before.
fn max_connections(config: &Config) -> usize {
    let listening = config.listeners.len() as u64 * u64::from(config.workers.get());
    let room = descriptors::room_for_connections(descriptors::limit(), listening);
    let Some(wanted) = config.limits.max_connections else { return room };
    let wanted = wanted.get() as usize;
    if wanted > room {
        warn!(
            max_connections = wanted,
            room, "there are not descriptors for so many connections: raise the limit of open files"
        );
    }
    wanted
}

impl<D: Dial> fmt::Debug for Proxy<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("tracker", &self.tracker).finish_non_exhaustive()
    }
}
