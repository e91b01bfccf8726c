//! A generation, what all connections of a process share: the configuration in force, and the counts that go with it.
//!
//! ```text
//!  generation 1 ──after──► generation 2 ──after──► …        each: configuration, routes, pools, listeners, dialler
//!        └───────┬───────────────┘
//!      tracker, capacity, lobby, client limits, resolver        one for the process
//! ```
//! A connection looks its generation up when it is accepted, and lets go of it once it has its backend: what it needs from
//! then on (permits, keepalive) it holds itself. So a generation is gone soon after the next one is in force, however long
//! its connections live. What is counted goes on counting: a limit, a breaker, a pool's pressure belongs to its name, also where
//! one reload removes that and a later one brings it back (`Counted`).

mod capacity;
mod counted;
mod force;
mod groups;
mod listener_in_force;
mod lobby;
mod of_member;
mod preparing;
mod route_states;

use std::fmt;
use std::sync::Arc;

use proxy_conn::{AddressLimits, Limit, PoolId, Tally, Tracker};
use proxy_core::{Dial, KeepAlive, Resolver};
use proxy_upstream::{Draining, Group, Unhealthy};
use tracing::warn;

use crate::handshakes::Handshakes;
use crate::omissions::Omissions;
use crate::pool::{NoNumber, Numbers, Pool};
use crate::settings::{Action, ListenerConfig, RouteConfig, SendProxy, Settings, limit, most};

pub(crate) use capacity::Capacity;
pub use capacity::too_few_descriptors;
pub(crate) use counted::Counted;
pub(crate) use listener_in_force::{CurrentListener, ListenerInForce};
pub(crate) use lobby::Wait;
pub use of_member::{OfMember, Removed};
pub use preparing::Preparation;
pub(crate) use preparing::Preparing;
pub use route_states::RouteStates;

use capacity::max_connections;
use counted::OfRoute;
use force::Force;
use groups::Groups;
use lobby::Lobby;

/// What connections to backends that are kept are opened by.
const UPSTREAM: &str = "upstream";

/// One generation: a configuration with the limits and breakers that go with it; and what all generations share.
pub struct Generation<D> {
    /// What it runs with.
    pub settings: Arc<Settings>,
    /// Every connection of the process, from accept to its end.
    pub tracker: Arc<Tracker>,
    /// How many connections may be open at once in the process, from accept on.
    pub connections: Limit,
    /// The same, and whether all of them are.
    pub(crate) capacity: Arc<Capacity>,
    /// Those of them that have no route yet and have to be waited for.
    pub(crate) lobby: Arc<Lobby>,
    /// Connections to backends that are kept for the next request. None outlives the generation for long: what it is kept for may have
    /// changed.
    pub(crate) upstreams: Arc<proxy_http::Pool>,
    /// What they are opened by, as their entries have it.
    pub(crate) upstream: Tally,
    /// Whether it is in force.
    pub(crate) force: Force,
    /// What the control plane is about.
    pub(crate) preparing: Preparing,
    /// Whether the process is about to stop, and still accepts: the answer to neighbours that ask.
    pub leaving: Arc<Draining>,
    /// How the TLS handshakes of the process went.
    pub handshakes: Arc<Handshakes>,
    /// What each client may have; None where clients are not limited.
    pub clients: Option<AddressLimits>,
    /// The pools, by their places in the configuration. The tracker knows each by [`Pool::id`].
    pub pools: Vec<Pool>,
    /// The names of all pools that there ever were, by number.
    pub numbers: Numbers,
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<Arc<Listener>>,
    /// What is counted for each route, by its place in the table.
    pub routes: RouteStates,
    /// The groups that have a name of their own.
    groups: Arc<Groups>,
    /// How backends are reached.
    pub dialer: D,
    /// How their names are resolved.
    pub resolver: Resolver,
    /// What is counted under each name, also under those that are in no configuration any more.
    pub(crate) counted: Counted,
    /// Their targets that are not well.
    pub(crate) unhealthy: Arc<Unhealthy>,
    /// The most connections of the process, once this generation is in force.
    most: usize,
}

/// What is counted for a route.
#[derive(Debug)]
pub struct RouteState {
    /// Its name, under which its connections are counted.
    pub name: Tally,
    /// Its connections, and how many it may have.
    pub limit: Limit,
    /// Its targets' limits and breakers: a group of its own, or one that other routes use too.
    pub targets: Arc<Group>,
    /// Whether it takes no new connections.
    pub draining: Arc<Draining>,
    /// What both sockets of a connection are given.
    pub(crate) keep_alive: Arc<KeepAlive>,
    /// What its PROXY headers had no room for; None where it sends none that could be too long.
    pub(crate) omissions: Option<Omissions>,
}

impl RouteState {
    /// What its PROXY headers had no room for; None where it sends none that could be too long.
    #[must_use]
    pub fn omissions(&self) -> Option<&Omissions> {
        self.omissions.as_ref()
    }

    /// That of `route`, with what is counted for it, and with the group that it takes connections to.
    fn new(route: &RouteConfig, counted: &OfRoute, targets: Arc<Group>) -> Self {
        Self {
            name: counted.name.clone(),
            limit: counted.limit.clone(),
            targets,
            draining: Arc::clone(&counted.draining),
            keep_alive: Arc::new(route.keep_alive),
            omissions: matches!(route.send_proxy, SendProxy::V2(_))
                .then(|| Omissions::after(&counted.omissions)),
        }
    }

    /// Makes what is shared with the generations before obey the configuration of `route`. A group that it shares does so by itself.
    fn take_force(&self, route: &RouteConfig) {
        self.limit.set_most(most(route.max_connections));
        if !matches!(route.action, Action::Group(_)) {
            self.targets.take_force();
        }
    }
}

/// A listener: its configuration, and what is counted for it, for all workers together.
#[derive(Debug)]
pub struct Listener {
    /// Its configuration.
    pub config: ListenerConfig,
    /// Its name, as every connection's entry has it: under which they are counted.
    pub label: Tally,
    /// Its connections, and how many it may have.
    pub limit: Limit,
}

impl Listener {
    /// A listener with nothing counted yet.
    #[must_use]
    pub fn new(config: &ListenerConfig) -> Arc<Self> {
        Self::after(config, None)
    }

    /// The same listener as `before`, with another configuration.
    fn after(config: &ListenerConfig, before: Option<&Arc<Self>>) -> Arc<Self> {
        let (label, limit) = match before {
            Some(before) => (before.label.clone(), before.limit.clone()),
            None => (config.label.as_str().into(), limit(config.max_connections)),
        };
        Arc::new(Self { label, limit, config: config.clone() })
    }
}

impl<D: Dial> Generation<D> {
    /// The first generation: it has served no connection yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, tracker: Arc<Tracker>, dialer: D, resolver: Resolver) -> Self {
        if let Some(warning) = too_few_descriptors(&settings) {
            warn!("{warning}");
        }
        let most = max_connections(&settings);
        let connections = Limit::new(most);
        let numbers = Numbers::of(&settings.pools);
        let ids = (0..).map_while(PoolId::new).zip(&settings.pools);
        let (unhealthy, counted) = (Arc::<Unhealthy>::default(), Counted::default());
        unhealthy.set_egress(&settings.egress);
        let turn = counted.set_aside(settings.listeners.len() + settings.pools.len());
        let pools = ids.map(|(id, pool)| counted.pool(pool, id, most)).collect();
        let groups = Arc::new(Groups::new(&settings, &counted, &unhealthy));
        groups.take_force();
        let routes = RouteStates::new(&settings, &counted, &groups, &unhealthy);
        routes.take_force(&settings, turn);
        let clients = settings.clients.map(AddressLimits::new);
        let listeners = settings.listeners.iter().map(|at| counted.listener(at)).collect();
        let capacity = Arc::new(Capacity::new(connections.clone()));
        let lobby = Arc::new(Lobby::new(settings.unrouted(most)));
        Self {
            connections,
            capacity,
            upstreams: proxy_http::Pool::new(tracker.workers()),
            upstream: UPSTREAM.into(),
            force: Force::default(),
            preparing: Preparing::default(),
            leaving: Arc::default(),
            handshakes: Arc::default(),
            lobby,
            clients,
            pools,
            numbers,
            listeners,
            routes,
            groups,
            dialer,
            resolver,
            counted,
            unhealthy,
            most,
            settings,
            tracker,
        }
    }

    /// The generation after this one: what has the name of something that is, or was and has connections, goes on counting where
    /// that is. Nothing changes before [`take_force`](Self::take_force).
    ///
    /// # Errors
    /// Where there have been more pools than there are numbers, and all of them still have connections.
    pub fn after(&self, settings: Arc<Settings>) -> Result<Self, NoNumber>
    where
        D: Clone,
    {
        let most = max_connections(&settings);
        self.counted.forget();
        let pools = self.pools_after(&settings, most)?;
        let groups = Arc::new(Groups::new(&settings, &self.counted, &self.unhealthy));
        let routes = RouteStates::new(&settings, &self.counted, &groups, &self.unhealthy);
        let listeners = settings.listeners.iter().map(|at| self.counted.listener(at)).collect();
        Ok(Self {
            tracker: Arc::clone(&self.tracker),
            connections: self.connections.clone(),
            capacity: Arc::clone(&self.capacity),
            upstreams: proxy_http::Pool::new(self.tracker.workers()),
            upstream: self.upstream.clone(),
            force: Force::default(),
            preparing: self.preparing.clone(),
            leaving: Arc::clone(&self.leaving),
            handshakes: Arc::clone(&self.handshakes),
            lobby: Arc::clone(&self.lobby),
            clients: self.clients_after(&settings),
            pools,
            numbers: self.numbers.clone(),
            listeners,
            routes,
            groups,
            dialer: self.dialer.clone(),
            resolver: self.resolver.clone(),
            counted: self.counted.clone(),
            unhealthy: Arc::clone(&self.unhealthy),
            most,
            settings,
        })
    }

    fn pools_after(&self, settings: &Settings, most: usize) -> Result<Vec<Pool>, NoNumber> {
        let numbers = self.numbers.assign(&settings.pools, &self.pools, &self.tracker)?;
        let pools = settings.pools.iter().zip(numbers);
        Ok(pools.map(|(pool, number)| self.counted.pool(pool, number, most)).collect())
    }

    /// The same table of clients, unless it has to be another one.
    fn clients_after(&self, settings: &Settings) -> Option<AddressLimits> {
        match (&self.clients, &self.settings.clients, &settings.clients) {
            (Some(table), Some(before), Some(now)) if is_same_table(before, now) => Some(table.clone()),
            (_, _, now) => now.map(AddressLimits::new),
        }
    }

    /// Makes what is shared with the generations before obey this one's configuration.
    pub fn take_force(&self) {
        let Settings { pools, clients, resolver, egress, .. } = &*self.settings;
        self.unhealthy.set_egress(egress);
        self.connections.set_most(self.most);
        self.lobby.set_most(self.settings.unrouted(self.most));
        for (pool, config) in self.pools.iter().zip(pools) {
            pool.limit.set_most(most(config.max_connections));
        }
        for at in &self.listeners {
            at.limit.set_most(most(at.config.max_connections));
        }
        let turn = self.counted.set_aside(self.listeners.len() + self.pools.len());
        self.groups.take_force();
        self.routes.take_force(&self.settings, turn);
        if let (Some(table), Some(options)) = (&self.clients, clients) {
            table.set_rates(*options);
        }
        self.resolver.set_options(*resolver);
    }
}

/// Whether clients that were counted by one configuration can be counted on by another one.
#[must_use]
pub fn is_same_table(
    before: &proxy_conn::AddressLimitsOptions,
    now: &proxy_conn::AddressLimitsOptions,
) -> bool {
    (before.ipv6_prefix, before.client_table_capacity) == (now.ipv6_prefix, now.client_table_capacity)
}

impl<D> Generation<D> {
    /// What is counted for the route in this place of the table, from now on if it was not before; None where there is none.
    #[must_use]
    pub fn route(&self, index: usize) -> Option<&RouteState> {
        self.routes.of(index, self.settings.routes.route(index)?.payload)
    }

    /// The group of this name, if the configuration has one: the state of it that is in force while this generation is. Routes that
    /// use it have the same one as their [`targets`](RouteState::targets).
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.named(name)
    }

    /// The groups that have a name of their own, in the order of the configuration; there from the generation's start on, whether or
    /// not they have had a connection. A loop that looks at their members asks the generation in force anew each time it goes round
    /// ([`Group::members`]): a reload makes other groups of the same members. The unnamed groups of routes are in
    /// [`routes`](Self::routes), once somebody has taken the route.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.iter()
    }

    /// The pool that the tracker knows by `id`, if it is in the configuration.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.id == id)
    }

    /// Whether no connection is accepted, since all places are taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity.view().0
    }

    /// How many connections that have no route yet are waited for, and how many may be.
    #[must_use]
    pub fn unrouted(&self) -> (usize, usize) {
        (self.lobby.waiting(), self.lobby.most())
    }

    /// It is in force no more, or is the last: connections of it on which no request is under way end in order, the others when that is
    /// answered, and none to a backend is kept.
    pub fn retire(&self) {
        self.force.end();
        self.upstreams.retire();
    }

    /// Forgets the names of routes, targets, listeners and pools that neither a generation nor a connection has any more; the watch
    /// does so at each look.
    pub fn forget_names(&self) {
        self.counted.forget();
    }

    /// How many names something is counted under, and whether there may be some to forget: while all are in force, they are not
    /// walked.
    #[must_use]
    pub fn names(&self) -> (usize, bool) {
        (self.counted.len(), self.counted.may_forget())
    }

    /// Says that much memory is taken beside connections for as long as the result is held: settings are read, compared, built.
    pub fn prepares(&self) -> Preparation {
        self.preparing.begin()
    }
}

impl<D> fmt::Debug for Generation<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("tracker", &self.tracker).finish_non_exhaustive()
    }
}
