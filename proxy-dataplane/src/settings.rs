//! What a proxy runs with: resolved values, every default filled in and every layer applied. No file form.
//!
//! What is given as a value of a type here is valid by it; the rest ([`Settings`] as a whole) is checked by whoever makes one of
//! something written.

mod at_limit;
mod challenges;
mod group;
mod http;
mod listener;
mod pool;
mod route;
mod send_proxy;
mod tls;

use std::num::NonZeroUsize;
use std::sync::Arc;

use proxy_conn::{AddressLimitsOptions, AuditOptions, Deadlines, Limit};
use proxy_core::resolve::ResolverOptions;
use proxy_core::{Egress, KeepAlive};
use proxy_route::{ClientNet, RouteTable};
use proxy_values::Whole;

pub use at_limit::AtLimit;
pub use challenges::Answering;
pub use group::GroupConfig;
pub use http::{
    FieldChanges, FixedAnswer, HttpRoute, PathRewrite, Redirect, RequestAction, RequestRule, RequestRules,
    Rewrite, Template, TemplateError,
};
pub use listener::{AcceptProxy, BACKLOG, Backlog, Greeting, ListenerConfig, UnreadableHello};
pub use pool::{BuiltIn, PoolChoice, PoolConfig, PoolPlace, RoutePools};
pub use route::{Action, RouteConfig, RouteSettings};
pub use send_proxy::{
    Fields, HeaderContent, HeaderField, Known, NextHop, SendProxy, UniqueId, UnknownClient,
};
pub use tls::{PlainHttp, Reencrypt, RouteTls, Terminate, Truncated};

/// A number of connections, of which there is at least one.
pub type Connections = Whole<1, { u32::MAX }>;

/// How many threads serve connections.
pub type Workers = Whole<1, 256>;

/// Connections without a route that are waited for, where nothing is said. With the largest hello that is read by default,
/// 320 MiB; and a crowd of 16 000 comes within a round trip only where 80 000 connect in a second.
const MOST_UNROUTED: usize = 1 << 14;

/// What all connections of a proxy share: one for each generation.
#[derive(Debug)]
pub struct Settings {
    /// Threads that serve connections.
    pub workers: Workers,
    /// Deadlines of a connection whose route is not known yet.
    pub deadlines: Deadlines,
    /// Kernel keepalive of a connection whose route is not known yet.
    pub keep_alive: KeepAlive,
    /// How backends are reached, where a route says nothing of it; a listener has its congestion control itself.
    pub egress: Arc<Egress>,
    /// Connections at one time, in all; `None` for as many as there are descriptors for.
    pub max_connections: Option<Connections>,
    /// Connections at one time that have no route yet and have to be waited for; `None` for half of all, 16 384 at most.
    pub max_unrouted_connections: Option<Connections>,
    /// What each client address may use at most; `None` if clients need not be counted.
    pub clients: Option<AddressLimitsOptions>,
    /// Networks whose addresses are not limited.
    pub unlimited_clients: Vec<ClientNet>,
    /// Bytes of memory of the process against which the pools' overload breakers act; `None` if it is not watched.
    pub max_memory: Option<u64>,
    /// What happens to a connection that meets the limit of its listener.
    pub at_limit: AtLimit,
    /// Bytes kept from a client while its backend is being dialled.
    pub early_data: usize,
    /// Bytes of a TLS ClientHello that are read in search of a name.
    pub max_client_hello: usize,
    /// The longest PROXY header of version 2 that is taken, in bytes.
    pub max_header: usize,
    /// The pools by place: `direct` is 0, `chain` is 1. At most 64.
    pub pools: Vec<PoolConfig>,
    /// How often the tracker is compared with the kernel, and how patiently.
    pub audit: AuditOptions,
    /// How names are resolved.
    pub resolver: ResolverOptions,
    /// Descriptors that the rest of the process keeps open beside what the proxy has.
    pub other_descriptors: u64,
    /// Where the challenges of authorities are answered; `None` where no certificate is obtained by them.
    pub answering: Option<Answering>,
    /// The listening sockets, by port.
    pub listeners: Vec<ListenerConfig>,
    /// The groups that have a name of their own, in the order of the configuration.
    pub groups: Vec<Arc<GroupConfig>>,
    /// Which connections are taken where.
    pub routes: RouteTable<RouteConfig>,
}

impl Settings {
    /// A proxy that listens so and takes connections there: one worker for each core, no limits but of the process, the built-in
    /// deadlines everywhere, and as much read ahead as a configuration file has by default.
    #[must_use]
    pub fn new(listeners: Vec<ListenerConfig>, routes: RouteTable<RouteConfig>) -> Self {
        Self {
            workers: one_for_each_core(),
            deadlines: Deadlines::default(),
            keep_alive: KeepAlive::default(),
            egress: Arc::default(),
            max_connections: None,
            max_unrouted_connections: None,
            clients: None,
            unlimited_clients: Vec::new(),
            max_memory: None,
            at_limit: AtLimit::default(),
            early_data: 64 << 10,
            max_client_hello: 16 << 10,
            max_header: 4 << 10,
            pools: ["direct", "chain"].map(PoolConfig::named).into(),
            audit: AuditOptions::default(),
            resolver: ResolverOptions::default(),
            other_descriptors: 0,
            answering: None,
            listeners,
            groups: Vec::new(),
            routes,
        }
    }

    /// How many connections may be waited for that have no route, where there may be `most` in all.
    #[must_use]
    pub fn unrouted(&self, most: usize) -> usize {
        let share = (most / 2).clamp(1, MOST_UNROUTED);
        self.max_unrouted_connections.map_or(share, |wanted| most.min(wanted.get() as usize))
    }
}

/// As many workers as the machine has cores for this process.
#[must_use]
pub fn one_for_each_core() -> Workers {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Workers::nearest(u32::try_from(cores).unwrap_or(u32::MAX))
}

/// The limit that is set; one that is never reached where none is.
#[must_use]
pub fn limit(bound: Option<Connections>) -> Limit {
    Limit::new(most(bound))
}

/// The same, for a limit that is there.
pub(crate) fn most(bound: Option<Connections>) -> usize {
    bound.map_or(Limit::MAX, |bound| bound.get() as usize)
}
