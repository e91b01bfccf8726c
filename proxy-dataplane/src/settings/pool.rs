//! Pools: groups of connections that share a limit, deadlines and an overload breaker.
//!
//! Which pool a connection is in depends on its route and on whether it came with a PROXY header, so each route knows
//! two, and the deadlines that it has in each:
//!
//! ```text
//! built in < built into the pool `chain` < [timeouts] < [pools.NAME] timeouts < the route's timeouts
//! ```
//!
//! What is built into `chain` is a tenth shorter for each proxy that a connection has come through, so that of the
//! proxies of one chain the one next to the backend ends a silence, and tells its cause: see [`PoolChoice::behind`].

use std::sync::Arc;

use proxy_conn::{Deadlines, OverloadOptions, Switch};
use proxy_core::Bound;

use super::Connections;
use super::at_limit::AtLimit;

/// A pool of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// The name in logs and metrics.
    pub name: Arc<str>,
    /// Its connections at one time; `None` for no limit of its own.
    pub max_connections: Option<Connections>,
    /// What happens to a connection beyond that.
    pub at_limit: AtLimit,
    /// When it is overloaded. The options agree with each other.
    pub overload: OverloadOptions,
}

impl PoolConfig {
    /// The pool `direct`.
    pub const DIRECT: PoolPlace = PoolPlace(0);
    /// The pool `chain`.
    pub const CHAIN: PoolPlace = PoolPlace(1);

    /// One of that name, without a limit of its own.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            max_connections: None,
            at_limit: AtLimit::default(),
            overload: OverloadOptions::default(),
        }
    }
}

/// A pool's place in [`Settings::pools`](super::Settings::pools). Another configuration may have it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPlace(u8);

impl PoolPlace {
    /// That place, if it is one of the first 256.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        u8::try_from(index).ok().map(Self)
    }

    /// The place, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A pool that a route's connections may be in, and what holds for them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolChoice {
    /// Which one.
    pub place: PoolPlace,
    /// The deadlines, every layer applied, for a connection that came straight from its client.
    pub deadlines: Deadlines,
    /// Which of them are those built into the pool `chain`, and so depend on the place in the chain.
    pub built_in: BuiltIn,
}

/// Which of the deadlines that would race along a chain are defaults, and not configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BuiltIn {
    /// `inactivity_timeout`.
    pub inactivity: bool,
    /// `half_closed_timeout`.
    pub half_closed: bool,
    /// `no_data_timeout`.
    pub no_data: bool,
    /// `max_connection_lifetime`.
    pub lifetime: bool,
}

impl PoolChoice {
    /// The deadlines of a connection that came through so many other proxies. Two proxies with the same deadline for the
    /// same silence race, and the one that is late sees a reset by a neighbour; what is written is used as it stands.
    #[must_use]
    pub fn behind(&self, proxies: usize) -> Deadlines {
        let mut deadlines = self.deadlines;
        if proxies == 0 {
            return deadlines;
        }
        if self.built_in.inactivity {
            deadlines.inactivity_timeout = shortened(deadlines.inactivity_timeout, proxies);
        }
        if self.built_in.half_closed {
            deadlines.half_closed_timeout = shortened(deadlines.half_closed_timeout, proxies);
        }
        if let Switch::After(bound) = deadlines.no_data_timeout
            && self.built_in.no_data
        {
            deadlines.no_data_timeout = Switch::After(shortened(bound, proxies));
        }
        if self.built_in.lifetime {
            deadlines.max_connection_lifetime = aged(deadlines.max_connection_lifetime, proxies);
        }
        deadlines
    }
}

/// Proxies that make a difference. After so many a tenth less would be less than half: 0.9⁷ = 0.48.
const STEPS: usize = 7;

/// A tenth less for each proxy: well over a round trip and the steps of a timer, and of the deadline most is left. Half of it
/// is left in any case (the seventh proxy and those after it have the same), since what peers say of a chain's length is
/// not to take a deadline away.
fn shortened(bound: Bound, proxies: usize) -> Bound {
    let whole = bound.get();
    let shorter = (0..proxies.min(STEPS)).fold(whole, |left, _| left - left / 10).max(whole / 2);
    Bound::try_from(shorter).unwrap_or(bound)
}

/// A hundredth less for each proxy, as many as above: of the built-in day a quarter of an hour, which is longer than a
/// connection can take from one hop to the next, and takes little from whoever lives.
fn aged(bound: Bound, proxies: usize) -> Bound {
    let steps = u32::try_from(proxies.min(STEPS)).unwrap_or(0);
    Bound::try_from(bound.get() - bound.get() / 100 * steps).unwrap_or(bound)
}

/// The pools of a route's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutePools {
    /// For those that came without a PROXY header.
    pub plain: PoolChoice,
    /// For those that came with one.
    pub chained: PoolChoice,
}

impl RoutePools {
    /// The pool of a connection: `chained` says whether it came with a PROXY header. Whether the route sends one is known
    /// here.
    #[must_use]
    pub const fn of(&self, chained: bool) -> &PoolChoice {
        if chained { &self.chained } else { &self.plain }
    }
}

impl RoutePools {
    /// The pool `direct` for connections that came from their clients, `chain` for those that came with a PROXY header, with these
    /// deadlines in both.
    #[must_use]
    pub fn built_in(deadlines: Deadlines) -> Self {
        let choice = |place| PoolChoice { place, deadlines, built_in: BuiltIn::default() };
        Self { plain: choice(PoolConfig::DIRECT), chained: choice(PoolConfig::CHAIN) }
    }
}
