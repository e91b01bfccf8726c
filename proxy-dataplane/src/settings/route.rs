//! What a connection does once its route is known.

use std::ops::Deref;
use std::sync::Arc;

use proxy_conn::{BreakerOptions, Deadlines, Limit};
use proxy_core::{Egress, KeepAlive};
use proxy_upstream::{GroupOptions, Target};

use super::Connections;
use super::at_limit::AtLimit;
use super::group::GroupConfig;
use super::http::HttpRoute;
use super::pool::{PoolChoice, RoutePools};
use super::send_proxy::SendProxy;
use super::tls::RouteTls;

/// What a connection does once its route is known.
#[derive(Debug)]
pub struct RouteConfig {
    /// The name in logs and metrics.
    pub name: Arc<str>,
    /// Where it goes.
    pub action: Action,
    /// Its connections at one time; `None` for no limit of its own.
    pub max_connections: Option<Connections>,
    /// Its connections at one time to each of its backends; `None` for no limit.
    pub max_connections_per_target: Option<Connections>,
    /// Everything else, which many routes of a file have in common: it reads as if it were here.
    pub settings: Arc<RouteSettings>,
}

/// What holds for the connections of a route, and mostly for those of others too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// Its deadlines for a connection that came without a PROXY header.
    pub deadlines: Deadlines,
    /// The pools that its connections are in, each with the route's deadlines there.
    pub pools: RoutePools,
    /// What happens to a connection beyond `max_connections`.
    pub at_limit: AtLimit,
    /// When one of its backends is left alone: the defaults, `[breaker]` over them, the route's own over both.
    pub breaker: BreakerOptions,
    /// Kernel keepalive on both sockets, layered likewise.
    pub keep_alive: KeepAlive,
    /// The header that the backend gets.
    pub send_proxy: SendProxy,
    /// How its backends are reached; None: as the whole proxy's are.
    pub egress: Option<Arc<Egress>>,
    /// What is done with TLS.
    pub tls: RouteTls,
    /// How its clients' requests are served, where they speak HTTP; None: their bytes go on as they come.
    pub http: Option<Arc<HttpRoute>>,
}

impl Default for RouteSettings {
    fn default() -> Self {
        let deadlines = Deadlines::default();
        Self {
            deadlines,
            pools: RoutePools::built_in(deadlines),
            at_limit: AtLimit::default(),
            breaker: BreakerOptions::default(),
            keep_alive: KeepAlive::default(),
            send_proxy: SendProxy::Off,
            egress: None,
            tls: RouteTls::default(),
            http: None,
        }
    }
}

impl Deref for RouteConfig {
    type Target = RouteSettings;

    fn deref(&self) -> &RouteSettings {
        &self.settings
    }
}

impl RouteConfig {
    /// A route of that name that takes connections to these targets in turn, with the defaults of [`RouteSettings`] and no limits.
    #[must_use]
    pub fn forward(name: &str, targets: impl IntoIterator<Item = Target>) -> Self {
        Self {
            name: name.into(),
            action: Action::Forward(targets.into_iter().collect()),
            max_connections: None,
            max_connections_per_target: None,
            settings: Arc::default(),
        }
    }

    /// The pool of a connection, and its deadlines there: `chained` says whether it came with a PROXY header. Whether the
    /// route sends one is known here.
    #[must_use]
    pub fn pool(&self, chained: bool) -> &PoolChoice {
        self.pools.of(chained)
    }

    /// What holds for each of its backends.
    #[must_use]
    pub fn group(&self) -> GroupOptions {
        if let Action::Group(group) = &self.action {
            return group.options.clone();
        }
        let max_connections_per_member =
            self.max_connections_per_target.map_or(Limit::MAX, |most| most.get() as usize);
        GroupOptions::default()
            .max_connections_per_member(max_connections_per_member)
            .breaker(self.breaker)
            .egress(self.egress.clone())
    }
}

/// What a route does with a connection.
#[derive(Debug)]
pub enum Action {
    /// Take it to one of these backends; never empty.
    Forward(Arc<[Target]>),
    /// Take it to a member of this group, which others use too.
    Group(Arc<GroupConfig>),
    /// Reset it.
    Refuse,
}

impl Action {
    /// The backends; none where it refuses.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        match self {
            Self::Forward(targets) => targets,
            Self::Group(group) => group.targets(),
            Self::Refuse => &[],
        }
    }
}
