//! The compiled table: many routes in, one answer a query.
//!
//! ```text
//!  name ─► buckets, most specific first      client ─► cells             offered ─► leaves    port ─► route
//!  ┌──────────────────────────┐              ┌────────────────────┐      ┌──────────┐
//!  │ exact   hash map         │              │ no restriction     │      │ any      │ ─► sorted segments,
//!  │ below   hash map, suffix │ ─► bucket ─► │ covering v4 nets   │ ─►   │ h2       │    binary search
//!  │ *                        │              │ covering v6 nets   │      │ http/1.1 │
//!  │ no restriction           │              └────────────────────┘      └──────────┘
//!  └──────────────────────────┘
//! ```
//!
//! A route sits in every cell that its lists name, so the work of a lookup follows from the query (its labels, the
//! networks around its client, its protocols) and not from the number of routes. Names and networks which the same
//! routes name share what lies behind them: a route with 500 names and 5000 networks costs 5500 entries, not the
//! product.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

pub use error::{BuildError, BuildErrors, Collision};
pub use query::{Matched, Query};
pub use shadow::Shadowed;

use self::build::Plan;
use self::index::{Index, Probe};
use crate::RouteSpec;
use crate::domain::canonical;
use crate::port::PortSet;

mod build;
mod error;
mod index;
mod query;
mod segments;
mod shadow;

/// Routes compiled for lookup, each with a payload of the caller's.
///
/// Invariant: a table that exists is valid. Names are unique, every route has a port, and no connection matches two
/// routes with equal rank.
#[derive(Clone)]
pub struct RouteTable<T> {
    /// In the order they were given; an index in this crate's interface is a position here.
    routes: Vec<(RouteSpec, T)>,
    index: Index,
    ports: PortSet,
    /// The ports on which some route restricts names or protocols.
    hello: PortSet,
}

impl<T> RouteTable<T> {
    /// Compiles the routes.
    ///
    /// # Errors
    /// Every route without a port, every second use of a name, and the pairs of enabled routes which some
    /// connection would match with equal rank, all at once. A route that clashes with many others in one place is
    /// reported with some of them, so that a thousand copies of a route do not make half a million errors.
    pub fn build(routes: impl IntoIterator<Item = (RouteSpec, T)>) -> Result<Self, BuildErrors> {
        // Not collected: that may be done in the memory of a list whose entries are larger, which the table would keep.
        let given = routes.into_iter();
        let mut routes: Vec<(RouteSpec, T)> = Vec::with_capacity(given.size_hint().0);
        routes.extend(given);
        let mut errors = build::check(routes.iter().map(|(spec, _)| spec));
        let plans = plans(&routes);
        let (mut index, clashes) = build::compile(&plans);
        errors.extend(clashes);
        if let Some(errors) = BuildErrors::new(errors) {
            return Err(errors);
        }
        index.shrink();
        let ports = plans.iter().flat_map(|plan| plan.ports.iter()).collect();
        let hello = plans.iter().filter(|plan| plan.needs_hello).flat_map(|plan| plan.ports.iter()).collect();
        drop(plans);
        Ok(Self { routes, index, ports, hello })
    }

    /// The route that takes this connection: of all that match, the one of highest rank.
    #[must_use]
    pub fn lookup<A: AsRef<[u8]>>(&self, query: &Query<'_, A>) -> Option<Matched<'_, T>> {
        let name = query.server_name.and_then(canonical);
        let client = query.client.map(|client: IpAddr| IpNet::from(client.to_canonical()));
        let probe = Probe { port: query.port, name: name.as_deref(), client, offered: query.alpn };
        self.index.best(&probe).and_then(|hit| self.route(hit.route))
    }

    /// The route at this position of the input.
    #[must_use]
    pub fn route(&self, index: usize) -> Option<Matched<'_, T>> {
        self.routes.get(index).map(|(spec, payload)| Matched { index, spec, payload })
    }

    /// All routes in the order of the input, those that are not enabled too.
    pub fn routes(&self) -> impl Iterator<Item = Matched<'_, T>> {
        self.routes.iter().enumerate().map(|(index, (spec, payload))| Matched { index, spec, payload })
    }

    /// How many routes there are, those that are not enabled too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The ports that enabled routes name, in ascending ranges with a gap between any two.
    pub fn ports(&self) -> impl Iterator<Item = RangeInclusive<u16>> {
        self.ports.iter().map(RangeInclusive::from)
    }

    /// Whether some enabled route names this port.
    #[must_use]
    pub fn listens_on(&self, port: u16) -> bool {
        self.ports.contains(port)
    }

    /// Whether some enabled route on this port restricts names or protocols. If not, nothing of the connection has
    /// to be read before its route is known.
    #[must_use]
    pub fn needs_hello(&self, port: u16) -> bool {
        self.hello.contains(port)
    }

    /// Enabled routes that can never match because others of higher priority take all they would take.
    ///
    /// Sound, not complete: a route is found if for each of its combinations of name, network, protocol and port one
    /// other route takes the whole combination. A network covered only by its two halves together is not.
    /// Computed by the call, which looks up each combination of a dead route: meant for a warning after a load.
    #[must_use]
    pub fn shadowed(&self) -> Vec<Shadowed<'_>> {
        let name = |index: usize| self.routes.get(index).map_or("", |(spec, _)| &*spec.name);
        // Only a higher priority can take everything: of equal ones the more specific has its own.
        let priorities = self.routes.iter().filter(|(spec, _)| spec.enabled).map(|(spec, _)| spec.priority);
        if priorities.min() == self.index.top() {
            return Vec::new();
        }
        shadow::shadowed(&self.index, &plans(&self.routes))
            .into_iter()
            .map(|(winner, loser)| Shadowed {
                winner,
                loser,
                winner_name: name(winner),
                loser_name: name(loser),
            })
            .collect()
    }
}

impl<T> Default for RouteTable<T> {
    /// A table without routes, in which no lookup finds anything.
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            index: Index::default(),
            ports: PortSet::default(),
            hello: PortSet::default(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for RouteTable<T> {
    /// The routes only: the index follows from them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.routes).finish()
    }
}

/// What the enabled routes ask for.
fn plans<T>(routes: &[(RouteSpec, T)]) -> Vec<Plan<'_>> {
    let enabled = routes.iter().enumerate().filter(|(_, (spec, _))| spec.enabled);
    enabled.map(|(route, (spec, _))| Plan::new(route, spec)).collect()
}
