//! What is counted under each name of a configuration: found again when the name comes back, for as long as somebody is counted.
//!
//! ```text
//!  generation n ──► route "web", group "inner": limit, targets ◄── generation n + 1, or a later one that has the name again
//!                        ▲
//!                   its connections                  neither: forgotten
//! ```
//! A name that a reload removes goes on being counted by its connections, which a limit that began at none would not see. Kept is
//! what some generation or some permit has; the rest is forgotten at the next look of the watch. While all names are in force there is
//! nothing to forget, and they are not walked.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_conn::{PoolId, Tally};
use proxy_upstream::{Draining, Kept};

use super::Listener;
use crate::omissions::Omissions;
use crate::pool::Pool;
use crate::settings::{ListenerConfig, PoolConfig, RouteConfig, limit};

/// What is counted, by name. Clones are the same; one for all generations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted(Arc<Mutex<Names>>);

/// The names that are in force, or that have connections.
#[derive(Debug, Default)]
struct Names {
    routes: HashMap<Arc<str>, OfRoute>,
    /// Those of groups that have a name of their own.
    groups: HashMap<Arc<str>, Kept>,
    listeners: HashMap<Tally, Arc<Listener>>,
    pools: HashMap<Arc<str>, Pool>,
    /// How many generations have taken force: the turn of the one in force.
    turn: u64,
    /// How many listeners and pools that one has.
    in_force: usize,
    /// Whether there may be names, or targets, that are not in force.
    spare: bool,
}

impl Names {
    /// Whether there are names, or targets, that are not in force.
    fn has_spare(&self) -> bool {
        let is_spare = |route: &OfRoute| route.turn != self.turn || route.targets.has_spare();
        self.listeners.len() + self.pools.len() != self.in_force
            || self.routes.values().any(is_spare)
            || self.groups.values().any(Kept::has_spare)
    }
}

/// What is counted of a route, whatever its configuration says.
#[derive(Debug)]
pub(crate) struct OfRoute {
    pub(super) name: Tally,
    pub(super) limit: proxy_conn::Limit,
    pub(super) draining: Arc<Draining>,
    pub(super) omissions: Omissions,
    /// The last turn in which it was in force, and taken by somebody; 0 for none.
    pub(super) turn: u64,
    /// Every target that it has, or had and that has connections.
    pub(super) targets: Kept,
}

impl OfRoute {
    fn new(route: &RouteConfig) -> Self {
        Self {
            name: Arc::clone(&route.name).into(),
            limit: limit(route.max_connections),
            draining: Arc::default(),
            omissions: Omissions::default(),
            turn: 0,
            targets: Kept::default(),
        }
    }

    /// Forgets the targets that nobody has; whether somebody has the route.
    fn forgets(&self) -> bool {
        self.targets.forget();
        self.limit.is_shared() || !self.targets.is_empty()
    }
}

impl Counted {
    /// What `with` makes of a route's counts, for the generation whose turn at being in force is or was `turn`, 0 for one that has
    /// not had it yet; it is told whether that turn goes on.
    pub(super) fn route<T>(
        &self,
        route: &RouteConfig,
        turn: u64,
        with: impl FnOnce(&OfRoute, bool) -> T,
    ) -> T {
        let names = &mut *self.0.lock();
        let of = names.routes.entry(Arc::clone(&route.name)).or_insert_with(|| OfRoute::new(route));
        let in_force = turn == names.turn;
        if in_force {
            of.turn = turn;
        } else {
            names.spare = true;
        }
        with(of, in_force)
    }

    /// What is kept of a group that has this name of its own, from now on if it was not before.
    pub(super) fn group(&self, name: &Arc<str>) -> Kept {
        let names = &mut *self.0.lock();
        names.spare = true;
        names.groups.entry(Arc::clone(name)).or_default().clone()
    }

    /// Those of `routes` of which something is counted.
    pub(super) fn known<'r>(
        &self,
        routes: impl Iterator<Item = (usize, &'r RouteConfig)>,
    ) -> Vec<(usize, &'r RouteConfig)> {
        let names = self.0.lock();
        if names.routes.is_empty() {
            return Vec::new();
        }
        routes.filter(|(_, route)| names.routes.contains_key(&route.name)).collect()
    }

    /// A listener, which goes on counting where one of its name is.
    pub(super) fn listener(&self, config: &ListenerConfig) -> Arc<Listener> {
        let mut names = self.0.lock();
        names.spare = true;
        let at = Listener::after(config, names.listeners.get(config.label.as_str()));
        names.listeners.insert(at.label.clone(), Arc::clone(&at));
        at
    }

    /// A pool of a process that may have `most` connections, which goes on counting where one of its name is.
    pub(super) fn pool(&self, config: &PoolConfig, id: PoolId, most: usize) -> Pool {
        let mut names = self.0.lock();
        names.spare = true;
        let pool = Pool::new(config, id, most, names.pools.get(&config.name));
        names.pools.insert(Arc::clone(&config.name), pool.clone());
        pool
    }

    /// A generation with so many listeners and pools takes force: marks all targets as not in force; those that are mark
    /// themselves after it. Its turn.
    pub(super) fn set_aside(&self, in_force: usize) -> u64 {
        let names = &mut *self.0.lock();
        (names.in_force, names.spare) = (in_force, true);
        names.turn += 1;
        let kept = names.routes.values().map(|route| &route.targets).chain(names.groups.values());
        kept.for_each(|kept| kept.set_aside(0));
        names.turn
    }

    /// Forgets what neither a generation nor a connection has.
    pub(crate) fn forget(&self) {
        let names = &mut *self.0.lock();
        if !names.spare {
            return;
        }
        names.routes.retain(|_, route| route.forgets());
        names.groups.retain(|_, kept| {
            kept.forget();
            !kept.is_empty()
        });
        names.listeners.retain(|_, at| Arc::strong_count(at) > 1 || at.limit.is_shared());
        names.pools.retain(|_, pool| pool.limit.is_shared());
        names.spare = names.has_spare();
    }

    /// Whether the next look has to walk the names.
    pub(crate) fn may_forget(&self) -> bool {
        self.0.lock().spare
    }

    /// How many names are kept, those of targets too.
    pub(crate) fn len(&self) -> usize {
        let names = self.0.lock();
        let kept = names.routes.values().map(|route| &route.targets).chain(names.groups.values());
        let targets: usize = kept.map(Kept::len).sum();
        names.routes.len() + names.groups.len() + names.listeners.len() + names.pools.len() + targets
    }
}
