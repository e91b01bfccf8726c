//! What the ends of connections say of the members that they were to, for groups that are watched for outliers.
//!
//! ```text
//!  end of a connection ─► [any group watched?] ─► route ─► group ─► member: a count      on the worker, no lock
//!  twice a second: who is established, and has had no first byte when one was due        beside the workers
//! ```
//! A connection says one thing once: where a first byte was due and did not come, that was counted when it was due. Dials that fail
//! are counted where they fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use proxy_conn::{By, Cause, ConnView, Ended, Phase, Subscriber};
use proxy_core::Bound;
use proxy_upstream::health::Outcome;
use tokio::time::Instant;

use crate::generation::Generation;
use crate::settings::{Action, Settings};

/// How often is looked who has had no first byte.
const EVERY: Duration = Duration::from_millis(500);

/// Which routes are watched, and where their members are.
#[derive(Debug, Default)]
struct Map {
    routes: HashMap<Arc<str>, Watched>,
}

/// A route whose group is watched.
#[derive(Debug)]
struct Watched {
    /// Its place in the table.
    index: usize,
    /// The places of the group's members, by what connections name them.
    members: Arc<HashMap<Box<str>, usize>>,
    first_byte_due: Option<Bound>,
}

impl Map {
    fn of(settings: &Settings) -> Self {
        let ports = || settings.listeners.iter().map(|at| at.port);
        let mut groups: HashMap<&str, Arc<HashMap<Box<str>, usize>>> = HashMap::new();
        let mut routes = HashMap::new();
        for route in settings.routes.routes() {
            let Action::Group(group) = &route.payload.action else { continue };
            let Some(outliers) = &group.options.health.outliers else { continue };
            let members = groups.entry(&group.name).or_insert_with(|| {
                let names = group.targets().iter().enumerate().flat_map(|(nth, target)| {
                    let at_ports = ports().map(move |port| (target.address(port).to_string().into(), nth));
                    at_ports.chain([(target.to_string().into(), nth)])
                });
                Arc::new(names.collect())
            });
            let watched = Watched {
                index: route.index,
                members: Arc::clone(members),
                first_byte_due: outliers.first_byte_due,
            };
            routes.insert(Arc::clone(&route.payload.name), watched);
        }
        Self { routes }
    }
}

/// Counts outcomes under the configuration in force.
#[derive(Debug)]
pub(crate) struct Feed<D> {
    /// Whether any group is watched: most configurations have none, and then an end costs one look here.
    on: AtomicBool,
    map: ArcSwapOption<Map>,
    /// Weak: it has the tracker, and the tracker has this.
    in_force: OnceLock<Weak<ArcSwap<Generation<D>>>>,
}

impl<D> Default for Feed<D> {
    fn default() -> Self {
        Self { on: AtomicBool::new(false), map: ArcSwapOption::empty(), in_force: OnceLock::new() }
    }
}

impl<D> Feed<D> {
    /// These settings are in force from now on, in what is in `in_force`.
    pub(crate) fn follow(&self, settings: &Settings, in_force: &Arc<ArcSwap<Generation<D>>>) {
        self.in_force.get_or_init(|| Arc::downgrade(in_force));
        let map = Map::of(settings);
        let on = !map.routes.is_empty();
        self.map.store(on.then(|| Arc::new(map)));
        self.on.store(on, Ordering::Relaxed);
    }

    fn in_force(&self) -> Option<Arc<ArcSwap<Generation<D>>>> {
        self.in_force.get()?.upgrade()
    }

    /// Counts for the member that is called `target` on `route`.
    fn count(&self, route: &str, target: &str, outcome: impl Fn(Option<Bound>) -> Option<Outcome>) {
        let map = self.map.load();
        let Some(watched) = map.as_ref().and_then(|map| map.routes.get(route)) else { return };
        let Some(outcome) = outcome(watched.first_byte_due) else { return };
        let Some(in_force) = self.in_force() else { return };
        let in_force = in_force.load();
        let Some(state) = in_force.routes.made(watched.index).filter(|state| *state.name == *route) else {
            return;
        };
        match watched.members.get(target) {
            Some(nth) => {
                if let Some(member) = state.targets.nth(*nth) {
                    member.health.outcomes.count(outcome);
                }
            }
            // One that was added by hand.
            None => {
                let added = state.targets.members().into_iter().find(|member| *member.name == *target);
                added.into_iter().for_each(|member| member.health.outcomes.count(outcome));
            }
        }
    }

    /// Counts who has had no first byte when one was due, twice a second, for as long as it is run.
    pub(crate) async fn watch(&self) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            let now = Instant::now();
            self.look(now, now - last);
            last = now;
        }
    }

    fn look(&self, now: Instant, since: Duration) {
        let map = self.map.load();
        let Some(map) = map.as_ref() else { return };
        if map.routes.values().all(|watched| watched.first_byte_due.is_none()) {
            return;
        }
        let Some(in_force) = self.in_force() else { return };
        for one in in_force.load_full().tracker.connections() {
            if one.phase() == Phase::Relay && one.bytes().1 == 0 {
                let view = one.view(now);
                if let (Some(route), Some(target)) = (&view.facts.route, &view.facts.target) {
                    self.count(route, target, |due| passed(&view, due?, since).then_some(Outcome::Bad));
                }
            }
        }
    }
}

/// Whether the first byte came due within the last so long, and has not come.
fn passed(view: &ConnView, due: Bound, since: Duration) -> bool {
    let silent = view.in_phase;
    view.phase == Phase::Relay && view.from_backend == 0 && silent >= due.get() && silent < due.get() + since
}

/// What an end says of the member.
fn outcome(ended: &Ended<'_>, due: Option<Bound>) -> Option<Outcome> {
    if ended.end.phase < Phase::Relay {
        return None;
    }
    if ended.from_backend > 0 {
        return Some(Outcome::Good);
    }
    if due.is_some_and(|due| ended.spent(Phase::Relay) >= due.get()) {
        return None;
    }
    let by_backend = ended.end.by == By::Backend;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the many ends these are a backend's that said nothing"
    )]
    let is_bad = match ended.end.cause {
        Cause::BackendReset | Cause::BackendVanished => true,
        // It closed, or left its client's end unanswered: where nothing is due that may be its way.
        Cause::Finished | Cause::HalfClosed => by_backend && due.is_some(),
        _ => false,
    };
    is_bad.then_some(Outcome::Bad)
}

impl<D: Send + Sync> Subscriber for Feed<D> {
    fn ended(&self, ended: &Ended<'_>) {
        if self.on.load(Ordering::Relaxed)
            && let (Some(route), Some(target)) = (&ended.facts.route, &ended.facts.target)
        {
            self.count(route, target, |due| outcome(ended, due));
        }
    }
}

/// A feed that is shared with the tracker.
#[derive(Debug)]
pub(crate) struct Fed<D>(pub(crate) Arc<Feed<D>>);

impl<D: Send + Sync> Subscriber for Fed<D> {
    fn ended(&self, ended: &Ended<'_>) {
        self.0.ended(ended);
    }
}
