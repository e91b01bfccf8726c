//! Checks of members, and what becomes of the connections of one that is down.
//!
//! ```text
//!  checks (off the workers) ─► a member is down ─► on_down: keep
//!                                                     ├ kill: its connections are reset now
//!                                                     └ drain: in a while, unless it is up again by then
//! ```

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use proxy_conn::{Phase, Reason, Tracked};
use proxy_core::Dial;
use proxy_upstream::health::Standing;
use proxy_upstream::{HealthOptions, Leaving, Member, Turn};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::generation::Generation;
use crate::settings::{Action, RouteConfig};

impl<D: Dial + Clone> Generation<D> {
    /// Checks members whose groups have them checked, and takes out those that outcomes speak against, as a
    /// [`Server`](crate::Server) does; until `stop`. It does so for all generations, and keeps none of them. `turned` is told of each
    /// member that is down, or up again; it must not block.
    pub fn check<F: Fn(&Turn<'_>) + Send + Sync>(
        &self,
        turned: F,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<F, D> {
        let (dialer, resolver, tracker) =
            (self.dialer.clone(), self.resolver.clone(), Arc::clone(&self.tracker));
        proxy_upstream::check(Arc::clone(&self.unhealthy), dialer, resolver, tracker, turned, stop)
    }
}

impl<D> Generation<D> {
    /// The established connections to a member of a group, by way of that group.
    #[must_use]
    pub fn connections_of(&self, group: &str, member: &str) -> Vec<Tracked> {
        let routes =
            self.settings.routes.routes().map(|route| route.payload).filter(|route| is_of(route, group));
        let (mut names, mut targets) = (HashSet::<&str>::new(), HashSet::from([member.to_owned()]));
        for route in routes {
            names.insert(&route.name);
            // All routes of a group have the same targets.
            if targets.len() == 1
                && let Some(target) =
                    route.action.targets().iter().find(|target| target.to_string() == member)
            {
                let ports = self.listeners.iter().map(|at| at.config.port);
                targets.extend(ports.map(|port| target.address(port).to_string()));
            }
        }
        let now = Instant::now();
        let mut all = self.tracker.connections();
        all.retain(|one| {
            let is_established = one.phase() >= Phase::Relay;
            let facts = || one.view(now).facts;
            let is_there = |facts: proxy_conn::Facts| {
                facts.route.is_some_and(|route| names.contains(&*route))
                    && facts.target.is_some_and(|target| targets.contains(&*target))
            };
            is_established && is_there(facts())
        });
        all
    }

    /// Ends the established connections to a member of a group; how many were not being ended already. It does not wait.
    pub fn end_connections_of(&self, group: &str, member: &str, reason: Reason) -> usize {
        self.connections_of(group, member).iter().filter(|one| one.cancel(reason)).count()
    }

    fn health_options(&self, group: &str) -> Option<&HealthOptions> {
        self.settings.groups.iter().find(|config| *config.name == *group).map(|config| &config.options.health)
    }
}

/// Whether a route takes its connections to this group: one that has the name, or its own.
fn is_of(route: &RouteConfig, group: &str) -> bool {
    match &route.action {
        Action::Group(config) => *config.name == *group,
        Action::Forward(_) => *route.name == *group,
        Action::Refuse => false,
    }
}

/// Checks under whatever configuration is in force, and does what that says with connections of members that are down, until
/// `stop`. What it waits for meanwhile is on `control`.
pub(crate) fn run<D: Dial + Clone>(
    in_force: &Arc<ArcSwap<Generation<D>>>,
    control: &Handle,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<D> {
    let (first, of, control) = (in_force.load_full(), Arc::clone(in_force), control.clone());
    let until = stop.clone();
    async move {
        let turned = |turn: &Turn<'_>| {
            if turn.to == Standing::Down {
                leave(&of, &control, turn, &until);
            }
        };
        let checking = first.check(turned, stop);
        // It is for all generations, and keeps none.
        drop(first);
        checking.await;
    }
}

/// A member is down: what becomes of its connections.
fn leave<D: Dial>(
    in_force: &Arc<ArcSwap<Generation<D>>>,
    control: &Handle,
    turn: &Turn<'_>,
    stop: &CancellationToken,
) {
    let proxy = in_force.load_full();
    let (group, member) = (Arc::clone(turn.group), Arc::clone(turn.member));
    let Some(options) = proxy.health_options(&group) else { return };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; keeping them ends nobody")]
    match options.on_down {
        Leaving::Kill => end(&proxy, &group, &member, Reason::MemberDown),
        Leaving::Drain => {
            let (of, stop, drain) = (Arc::clone(in_force), stop.clone(), options.drain_for.get());
            let since = member.health.view().since;
            drop(control.spawn(async move {
                let over = tokio::time::sleep(drain);
                let in_time = stop.run_until_cancelled(over).await.is_some();
                // Whoever is up again keeps what it has; that it may be down again since then is another drain's business.
                let is_same = member.health.is_down() && member.health.view().since == since;
                if in_time && is_same {
                    end(&of.load_full(), &group, &member, Reason::MemberDown);
                }
            }));
        }
        _ => {}
    }
}

fn end<D>(proxy: &Generation<D>, group: &str, member: &Member, reason: Reason) {
    let ended = proxy.end_connections_of(group, &member.name, reason);
    info!(group, member = %member.name, ended, "ended the connections of a member that is down");
}
