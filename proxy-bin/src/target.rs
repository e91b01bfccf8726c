//! The targets of a route: how many connections each may have, and whether it is worth dialling.

mod course;
mod recovery;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::breaker::{BreakerState, BreakerView, Change};
use proxy_conn::{Limit, TargetBreaker};
use proxy_core::TargetAddr;
use proxy_route::{Target, TargetPort};
use smallvec::SmallVec;
use tokio::time::Instant;
use tracing::warn;

pub(crate) use course::Course;
pub(crate) use recovery::{Ailing, recover};

use crate::config::{Action, RouteConfig, address};
use crate::dials::DialFigures;
use crate::proxy::{Draining, limit, most};

/// A target that others overtook is tried after them for so long, or until the proxy has found that it answers soon.
const LAST_FOR: Duration = Duration::from_secs(10);

/// Addresses of a target's name that are remembered as those that failed. Names have a dozen at most.
const FAILED_ADDRESSES: usize = 64;

/// A target of a route: its limit and its breaker.
#[derive(Debug)]
pub struct TargetState {
    /// Where it is, as the configuration names it.
    pub name: Arc<str>,
    /// Whether that is where it is, whatever port a connection came in on.
    is_fixed: bool,
    /// Its connections of this route, and how many it may have.
    pub limit: Limit,
    /// Whether it takes no new connections.
    pub draining: Draining,
    /// How its dials went.
    pub dials: DialFigures,
    breaker: TargetBreaker,
    /// Until when it is tried after those that answer sooner.
    lags_until: Mutex<Option<Instant>>,
    /// The addresses of its name that failed since it was last found in order.
    failed_at: Mutex<Vec<IpAddr>>,
    /// Whether the proxy tries it by itself until it is well.
    is_looked_after: AtomicBool,
    /// Whether it is in the configuration in force; else it is not tried.
    is_in_force: AtomicBool,
}

impl TargetState {
    fn new(name: &str, target: &Target, route: &RouteConfig) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            is_fixed: !matches!(target, Target::Tcp { port: TargetPort::Preserve, .. }),
            limit: limit(route.max_connections_per_target),
            draining: Draining::default(),
            dials: DialFigures::default(),
            breaker: TargetBreaker::new(route.breaker),
            lags_until: Mutex::default(),
            failed_at: Mutex::default(),
            is_looked_after: AtomicBool::new(false),
            is_in_force: AtomicBool::new(true),
        })
    }

    pub(crate) fn set_in_force(&self, is: bool) {
        self.is_in_force.store(is, Ordering::Relaxed);
    }

    pub(crate) fn is_in_force(&self) -> bool {
        self.is_in_force.load(Ordering::Relaxed)
    }

    /// Its breaker, as it is now. The proxy tries a target that is left alone by itself, however long others are to leave it
    /// alone.
    #[must_use]
    pub fn breaker(&self) -> BreakerView {
        let view = self.breaker.view(Instant::now());
        BreakerView { retry_in: view.retry_in.min(recovery::EVERY), ..view }
    }

    /// Whether others are to be tried before it.
    fn lags(&self, now: Instant) -> bool {
        self.lags_until.lock().is_some_and(|until| now < until)
    }

    /// Whether it is left alone, or tried last.
    fn is_ailing(&self, now: Instant) -> bool {
        self.breaker.view(now).state != BreakerState::Closed || self.lags(now)
    }

    /// Notes the addresses at which it failed; whether there is one among them that had not failed before, so that the target
    /// is not where it was.
    fn has_moved(&self, addresses: &[IpAddr]) -> bool {
        let mut failed = self.failed_at.lock();
        let knows_some = !failed.is_empty();
        let new: SmallVec<[IpAddr; 4]> =
            addresses.iter().filter(|addr| !failed.contains(addr)).copied().collect();
        if failed.len() + new.len() > FAILED_ADDRESSES {
            failed.clear();
        }
        failed.extend(new.iter().take(FAILED_ADDRESSES));
        knows_some && !new.is_empty()
    }

    /// It was dialled, and takes connections.
    fn is_well(&self, took: Duration) {
        self.failed_at.lock().clear();
        if took <= proxy_core::dial::STAGGER {
            *self.lags_until.lock() = None;
        }
    }

    fn log(&self, route: &str, change: Option<Change>) {
        let Some(change) = change else { return };
        if change.to == BreakerState::Open {
            let every = recovery::EVERY.as_secs_f64();
            warn!(
                route,
                target = %self.name,
                "breaker: {change} by clients that have another target; the proxy itself tries it every {every}s"
            );
        } else {
            warn!(route, target = %self.name, "breaker: {change}");
        }
    }
}

/// The states of a route's targets, in the order of the configuration.
#[derive(Debug)]
pub struct RouteTargets {
    route: Arc<str>,
    targets: Vec<Arc<TargetState>>,
    ailing: Arc<Ailing>,
}

impl RouteTargets {
    /// The targets of `route`; those that are `known` of it are the same, with all that is counted, and those that are new are
    /// known from then on.
    #[must_use]
    pub(crate) fn new(route: &RouteConfig, known: &mut Vec<Arc<TargetState>>, ailing: &Arc<Ailing>) -> Self {
        let mut free = known.clone();
        let state = |target: &Target| {
            let name = target.to_string();
            match free.iter().position(|known| *known.name == *name) {
                // Taken out: a target that is listed twice has two states.
                Some(n) => free.remove(n),
                None => {
                    let new = TargetState::new(&name, target, route);
                    known.push(Arc::clone(&new));
                    new
                }
            }
        };
        let targets = match &route.action {
            Action::Forward { targets, .. } => targets.iter().map(state).collect(),
            Action::Refuse => Vec::new(),
        };
        Self { route: Arc::clone(&route.name), targets, ailing: Arc::clone(ailing) }
    }

    /// Makes the targets obey the configuration of `route`.
    pub(crate) fn take_force(&self, route: &RouteConfig) {
        for target in &self.targets {
            target.set_in_force(true);
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

    /// The targets for a connection that came in on `port`: whose turn it is first, then the others, and last those that
    /// others overtook lately. None where the route refuses.
    pub(crate) fn course<'r>(&'r self, action: &Action, port: u16) -> Option<Course<'r>> {
        let Action::Forward { targets, rotation } = action else { return None };
        let mut order: SmallVec<[usize; 4]> = rotation.order(targets.len()).collect();
        if order.len() > 1 {
            let now = Instant::now();
            order.sort_by_key(|n| self.targets.get(*n).is_some_and(|target| target.lags(now)));
        }
        let addresses =
            order.iter().filter_map(|n| targets.get(*n)).map(|target| address(target, port)).collect();
        Some(Course { states: self, order, addresses })
    }

    /// A target is left alone, or lags: the proxy tries it by itself from now on.
    fn look_after(&self, target: &Arc<TargetState>, at: &TargetAddr) {
        if !target.is_looked_after.swap(true, Ordering::Relaxed) {
            self.ailing.add(target, at.clone(), Arc::clone(&self.route));
        }
    }
}
