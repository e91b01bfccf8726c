//! The targets of a route: how many connections each may have, and whether it is worth dialling.

use std::sync::Arc;

use proxy_conn::breaker::{BreakerView, Change};
use proxy_conn::{Admission, Limit, Permit, TargetBreaker, Ticket};
use proxy_core::TargetAddr;
use proxy_core::dial::{Closed, DialErrorKind, Gate};
use tokio::time::Instant;
use tracing::warn;

use crate::config::{Action, RouteConfig, address};
use crate::dials::DialFigures;
use crate::proxy::{Draining, limit, most};

/// A target of a route: its limit and its breaker.
#[derive(Debug)]
pub struct TargetState {
    /// Where it is, as the configuration names it.
    pub name: Box<str>,
    /// Its connections of this route, and how many it may have.
    pub limit: Limit,
    /// Whether it takes no new connections.
    pub draining: Draining,
    /// How its dials went.
    pub dials: DialFigures,
    breaker: TargetBreaker,
}

impl TargetState {
    fn new(name: String, route: &RouteConfig) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            limit: limit(route.max_connections_per_target),
            draining: Draining::default(),
            dials: DialFigures::default(),
            breaker: TargetBreaker::new(route.breaker),
        })
    }

    /// Its breaker, as it is now.
    #[must_use]
    pub fn breaker(&self) -> BreakerView {
        self.breaker.view(Instant::now())
    }
}

/// The states of a route's targets, in the order of the configuration.
#[derive(Debug)]
pub struct RouteTargets {
    route: Arc<str>,
    targets: Vec<Arc<TargetState>>,
}

/// The targets of one dial, in the order in which they are to be tried.
#[derive(Debug)]
pub(crate) struct Course<'r> {
    states: &'r RouteTargets,
    order: Vec<usize>,
    /// Where each is, in the same order.
    pub(crate) addresses: Vec<TargetAddr>,
}

impl RouteTargets {
    /// The targets of `route`; those that it had `before` are the same, with all that is counted.
    #[must_use]
    pub fn new(route: &RouteConfig, before: Option<&Self>) -> Self {
        let mut known = before.map(|before| before.targets.clone()).unwrap_or_default();
        let mut state = |name: String| match known.iter().position(|known| *known.name == *name) {
            // Taken out: a target that is listed twice has two states.
            Some(n) => known.swap_remove(n),
            None => TargetState::new(name, route),
        };
        let targets = match &route.action {
            Action::Forward { targets, .. } => {
                targets.iter().map(|target| state(target.to_string())).collect()
            }
            Action::Refuse => Vec::new(),
        };
        Self { route: Arc::clone(&route.name), targets }
    }

    /// Makes the targets obey the configuration of `route`.
    pub(crate) fn take_force(&self, route: &RouteConfig) {
        for target in &self.targets {
            target.limit.set_most(most(route.max_connections_per_target));
            target.breaker.set_options(route.breaker);
        }
    }

    /// Each of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &TargetState> {
        self.targets.iter().map(|target| &**target)
    }

    /// Permits of all its targets that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.iter().map(|target| target.limit.in_use()).sum()
    }

    /// Whether there are targets and each of them is being drained.
    #[must_use]
    pub fn all_draining(&self) -> bool {
        !self.targets.is_empty() && self.iter().all(|target| target.draining.is_on())
    }

    /// The targets for a connection that came in on `port`: whose turn it is first, then the others. None where the route
    /// refuses.
    pub(crate) fn course<'r>(&'r self, action: &Action, port: u16) -> Option<Course<'r>> {
        let Action::Forward { targets, rotation } = action else { return None };
        let order: Vec<usize> = rotation.order(targets.len()).collect();
        let addresses =
            order.iter().filter_map(|n| targets.get(*n)).map(|target| address(target, port)).collect();
        Some(Course { states: self, order, addresses })
    }

    fn log(&self, target: &TargetState, change: Option<Change>) {
        if let Some(change) = change {
            warn!(route = %self.route, target = %target.name, "breaker: {change}");
        }
    }
}

/// Leave to dial a target, and its place.
#[derive(Debug)]
pub(crate) struct Leave<'r> {
    target: &'r TargetState,
    ticket: Ticket,
    permit: Permit,
    began: Instant,
}

impl<'r> Gate for Course<'r> {
    type Ticket = Leave<'r>;
    type Pass = Permit;

    fn enter(&self, n: usize) -> Result<Leave<'r>, Closed> {
        // A list without that target is full.
        let target = self.order.get(n).and_then(|n| self.states.targets.get(*n)).ok_or(Closed::Full(0))?;
        if target.draining.is_on() {
            return Err(Closed::Draining);
        }
        let permit = target.limit.acquire().ok_or_else(|| Closed::Full(target.limit.most()))?;
        let began = Instant::now();
        match target.breaker.admit(began) {
            Admission::Closed(ticket) | Admission::Probe(ticket) => {
                Ok(Leave { target, ticket, permit, began })
            }
            Admission::Open { retry_in } => Err(Closed::Breaker(retry_in)),
        }
    }

    fn reached(&self, leave: Leave<'r>) -> Permit {
        leave.target.dials.reached(leave.began.elapsed());
        self.states.log(leave.target, leave.ticket.succeeded());
        leave.permit
    }

    fn failed(&self, leave: Leave<'r>, why: &DialErrorKind) {
        leave.target.dials.failed(why);
        // A shortage of this machine says nothing about the target.
        if !matches!(why, DialErrorKind::Shortage(_)) {
            self.states.log(leave.target, leave.ticket.failed(Instant::now()));
        }
    }
}
