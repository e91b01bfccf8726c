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
use crate::proxy::limit;

/// A target's limit and breaker.
#[derive(Debug)]
struct TargetState {
    name: Box<str>,
    limit: Option<Limit>,
    breaker: TargetBreaker,
    dials: DialFigures,
}

/// A target as it was when somebody looked.
#[derive(Debug)]
pub struct TargetView<'r> {
    /// Where it is, as the configuration has it.
    pub name: &'r str,
    /// How many connections it may have; None where that is not limited.
    pub limit: Option<&'r Limit>,
    /// Whether it is dialled.
    pub breaker: BreakerView,
    /// How its dials went.
    pub dials: &'r DialFigures,
}

/// The states of a route's targets, in the order of the configuration.
#[derive(Debug)]
pub struct RouteTargets {
    route: Arc<str>,
    targets: Vec<TargetState>,
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
    /// The targets of `route`, none dialled yet.
    #[must_use]
    pub fn new(route: &RouteConfig) -> Self {
        let state = |name: String| TargetState {
            name: name.into(),
            limit: limit(route.max_connections_per_target),
            breaker: TargetBreaker::new(route.breaker),
            dials: DialFigures::default(),
        };
        let targets = match &route.action {
            Action::Forward { targets, .. } => {
                targets.iter().map(|target| state(target.to_string())).collect()
            }
            Action::Refuse => Vec::new(),
        };
        Self { route: Arc::clone(&route.name), targets }
    }

    /// Permits of all its targets that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.targets.iter().filter_map(|target| target.limit.as_ref()).map(Limit::in_use).sum()
    }

    /// Its targets as they are at `now`, in the order of the configuration.
    pub fn views(&self, now: Instant) -> impl Iterator<Item = TargetView<'_>> {
        self.targets.iter().map(move |target| TargetView {
            name: &target.name,
            limit: target.limit.as_ref(),
            breaker: target.breaker.view(now),
            dials: &target.dials,
        })
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
    permit: Option<Permit>,
    began: Instant,
}

impl<'r> Gate for Course<'r> {
    type Ticket = Leave<'r>;
    type Pass = Option<Permit>;

    fn enter(&self, n: usize) -> Result<Leave<'r>, Closed> {
        // A list without that target is full.
        let target = self.order.get(n).and_then(|n| self.states.targets.get(*n)).ok_or(Closed::Full(0))?;
        let permit = match &target.limit {
            Some(limit) => Some(limit.acquire().ok_or(Closed::Full(limit.most()))?),
            None => None,
        };
        let began = Instant::now();
        match target.breaker.admit(began) {
            Admission::Closed(ticket) | Admission::Probe(ticket) => {
                Ok(Leave { target, ticket, permit, began })
            }
            Admission::Open { retry_in } => Err(Closed::Breaker(retry_in)),
        }
    }

    fn reached(&self, leave: Leave<'r>) -> Option<Permit> {
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
