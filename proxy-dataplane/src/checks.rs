//! Checks of members, and what becomes of the connections of one that is down.
//!
//! ```text
//!  checks (off the workers) ─► a member is down ─► on_down: keep
//!                                                     ├ kill: its connections are reset now
//!                                                     └ drain: in a while, unless it is up again by then
//! ```

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use proxy_conn::{Phase, Reason};
use proxy_core::Dial;
use proxy_upstream::health::Standing;
use proxy_upstream::{Group, Leaving, Member, Turn};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::generation::{Generation, OfMember};

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

impl<D: Dial + Clone> Generation<D> {
    /// The same, and what its groups' `on_down` says is done with connections of members that are down, as a
    /// [`Server`](crate::Server) does. What that waits for is on `control`. For those who run one generation and no other.
    pub fn check_members(
        self: &Arc<Self>,
        control: &Handle,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<D> {
        run(&Arc::new(ArcSwap::new(Arc::clone(self))), control, stop)
    }
}

impl<D> Generation<D> {
    /// The group that is logged so, if it has a name of its own.
    fn group_of(&self, turn: &Turn<'_>) -> Option<&Arc<Group>> {
        self.group(turn.group.strip_prefix('@')?)
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
    let (proxy, member) = (in_force.load_full(), Arc::clone(turn.member));
    let Some(group) = proxy.group_of(turn) else { return };
    let health = &group.options().health;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; keeping them ends nobody")]
    match health.on_down {
        Leaving::Kill => end(&proxy, group.name(), &member),
        Leaving::Drain => {
            let (of, stop, drain) = (Arc::clone(in_force), stop.clone(), health.drain_for.get());
            let (name, since) = (Arc::clone(group.name()), member.health.view().since);
            drop(control.spawn(async move {
                let over = tokio::time::sleep(drain);
                let in_time = stop.run_until_cancelled(over).await.is_some();
                // Whoever is up again keeps what it has; that it may be down again since then is another drain's business.
                let is_same = member.health.is_down() && member.health.view().since == since;
                if in_time && is_same {
                    end(&of.load_full(), &name, &member);
                }
            }));
        }
        _ => {}
    }
}

/// Ends the established connections to a member, by way of its group.
fn end<D>(proxy: &Generation<D>, group: &str, member: &Arc<Member>) {
    let all = OfMember::new(Arc::clone(member)).connections(&proxy.tracker);
    // A dial that begins there may end elsewhere.
    let established = all.iter().filter(|one| one.phase() >= Phase::Relay);
    let ended = established.filter(|one| one.cancel(Reason::MemberDown)).count();
    info!(group, member = %member.name, ended, "ended the connections of a member that is down");
}
