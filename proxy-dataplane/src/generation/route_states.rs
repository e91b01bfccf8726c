//! What is counted for the routes of one generation, made when the first connection takes the route.
//!
//! A file may have a hundred thousand routes of which a few hundred are used in a day: one that nobody takes costs a place here
//! and nothing else. What is not made has counted nothing, so that figures can tell of it all the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::counted::OfRoute;
use super::groups::Groups;
use super::{Counted, RouteState};
use crate::settings::{Action, RouteConfig, Settings};
use proxy_upstream::{Group, MemberOptions, Target, Unhealthy};

/// The states of a generation's routes, by their places in its table.
#[derive(Debug)]
pub struct RouteStates {
    slots: Box<[OnceLock<Box<RouteState>>]>,
    counted: Counted,
    groups: Arc<Groups>,
    unhealthy: Arc<Unhealthy>,
    /// Which turn at being in force is this generation's; 0 before it has taken force.
    turn: AtomicU64,
}

impl RouteStates {
    /// Those of `settings`. Names that are counted already are made at once, so that they obey it once it takes force.
    pub(super) fn new(
        settings: &Settings,
        counted: &Counted,
        groups: &Arc<Groups>,
        unhealthy: &Arc<Unhealthy>,
    ) -> Self {
        let slots = settings.routes.routes().map(|_| OnceLock::new()).collect();
        let states = Self {
            slots,
            counted: counted.clone(),
            groups: Arc::clone(groups),
            unhealthy: Arc::clone(unhealthy),
            turn: AtomicU64::new(0),
        };
        let known = counted.known(settings.routes.routes().map(|route| (route.index, route.payload)));
        for (index, route) in known {
            states.of(index, route);
        }
        states
    }

    /// The generation takes force, as the `turn`th: what is made obeys its configuration from now on, what is made later does so
    /// from the start.
    pub(super) fn take_force(&self, settings: &Settings, turn: u64) {
        self.turn.store(turn, Ordering::Relaxed);
        for (slot, route) in self.slots.iter().zip(settings.routes.routes()) {
            if let Some(state) = slot.get() {
                self.counted.route(route.payload, turn, |_, _| state.take_force(route.payload));
            }
        }
    }

    /// The state of the route in this place; None where the table has no such place.
    pub(crate) fn of(&self, index: usize, route: &RouteConfig) -> Option<&RouteState> {
        let slot = self.slots.get(index)?;
        Some(slot.get_or_init(|| self.make(route)))
    }

    #[cold]
    fn make(&self, route: &RouteConfig) -> Box<RouteState> {
        let turn = self.turn.load(Ordering::Relaxed);
        self.counted.route(route, turn, |counted, in_force| {
            let known = counted.targets.len();
            let state = RouteState::new(route, counted, self.targets(route, counted));
            if in_force {
                state.take_force(route);
            } else {
                counted.targets.set_aside(known);
            }
            Box::new(state)
        })
    }

    /// Where a route takes connections: the group that it shares, or one of its own.
    fn targets(&self, route: &RouteConfig, counted: &OfRoute) -> Arc<Group> {
        let targets: &[Target] = match &route.action {
            Action::Group(group) => match self.groups.named(&group.name) {
                Some(shared) => return Arc::clone(shared),
                // Settings that name a group without having it: the route has the like of it for itself.
                None => group.targets(),
            },
            Action::Forward(targets) => targets,
            Action::Refuse => &[],
        };
        let members = targets.iter().cloned().map(MemberOptions::from);
        let name = Arc::clone(&route.name);
        Arc::new(Group::new(name, members, route.group(), &counted.targets, &self.unhealthy))
    }

    /// The state of the route in this place, if it was ever needed; else nothing is counted for it.
    #[must_use]
    pub fn made(&self, index: usize) -> Option<&RouteState> {
        self.slots.get(index).and_then(OnceLock::get).map(|state| &**state)
    }

    /// All that were ever needed.
    pub fn iter(&self) -> impl Iterator<Item = &RouteState> {
        self.slots.iter().filter_map(OnceLock::get).map(|state| &**state)
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
