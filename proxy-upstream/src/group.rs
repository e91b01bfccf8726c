//! A group: targets that stand for each other, what is counted for each, and whose turn it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proxy_core::TargetAddr;
use tokio::time::Instant;

use crate::address::Target;
use crate::balance::{Rotation, round_robin};
use crate::candidates::Candidates;
use crate::member::Member;
use crate::options::GroupOptions;
use crate::recovery::Unhealthy;

/// What is kept of a group from one configuration to the next: its members with all that is counted for them, those too that are
/// in no configuration any more and have connections; and whose turn it is.
#[derive(Debug, Default)]
pub struct Kept {
    members: Vec<Arc<Member>>,
    turn: Arc<Rotation>,
}

impl Kept {
    /// Every member that there is, or was and has connections.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(|member| &**member)
    }

    /// Forgets the members that are in no group and have no connections.
    pub fn forget(&mut self) {
        self.members.retain(|member| Arc::strong_count(member) > 1 || member.limit.is_shared());
    }
}

/// The members of a group, in the order of the configuration.
#[derive(Debug)]
pub struct Group {
    name: Arc<str>,
    targets: Arc<[Target]>,
    members: Vec<Arc<Member>>,
    turn: Arc<Rotation>,
    unhealthy: Arc<Unhealthy>,
}

impl Group {
    /// The group of that name, of these targets. Those that are `kept` go on with all that is counted, and those that are new are
    /// kept from then on. Members that are not well are tried by whoever [`recover`](crate::recover)s with the same `unhealthy`.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        targets: Arc<[Target]>,
        options: &GroupOptions,
        kept: &mut Kept,
        unhealthy: &Arc<Unhealthy>,
    ) -> Self {
        let mut free = kept.members.clone();
        let member = |target: &Target| {
            let name = target.to_string();
            match free.iter().position(|known| *known.name == *name) {
                // Taken out: a target that is listed twice has two members.
                Some(n) => free.remove(n),
                None => {
                    let new = Member::new(&name, target, options);
                    kept.members.push(Arc::clone(&new));
                    new
                }
            }
        };
        let members = targets.iter().map(member).collect();
        Self { name, targets, members, turn: Arc::clone(&kept.turn), unhealthy: Arc::clone(unhealthy) }
    }

    /// Makes its members obey `options` from now on, and marks them as in force.
    pub fn take_force(&self, options: &GroupOptions) {
        for member in &self.members {
            member.set_in_force(true);
            member.limit.set_most(options.max_connections_per_member);
            member.breaker.set_options(options.breaker);
        }
        let health = &options.health;
        let members = self.members.iter().zip(self.targets.iter());
        self.unhealthy.checks.follow(&self.name, members, health.check.as_ref(), health.outliers.as_ref());
    }

    /// Its name: that of the route whose group it is.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its targets, in the order of the configuration.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Its members, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(|member| &**member)
    }

    /// The member in this place of the configuration.
    #[must_use]
    pub fn nth(&self, at: usize) -> Option<&Member> {
        self.members.get(at).map(|member| &**member)
    }

    pub(crate) fn member(&self, at: usize) -> Option<&Arc<Member>> {
        self.members.get(at)
    }

    /// Permits of all its members that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.iter().map(|member| member.limit.in_use()).sum()
    }

    /// Whether there are members and each of them is being drained.
    #[must_use]
    pub fn all_draining(&self) -> bool {
        !self.members.is_empty() && self.iter().all(|member| member.draining.is_on())
    }

    /// The members for a connection that came in on `port`: whose turn it is first, then the others, and last those that
    /// others overtook lately. Each call is a turn.
    #[must_use]
    pub fn candidates(&self, port: u16) -> Candidates<'_> {
        let now = (self.targets.len() > 1).then(Instant::now);
        let lags = |at: usize| now.is_some_and(|now| self.members.get(at).is_some_and(|one| one.lags(now)));
        let order = round_robin(self.turn.next(), self.targets.len(), lags);
        let addresses =
            order.iter().filter_map(|at| self.targets.get(*at)).map(|target| target.address(port)).collect();
        Candidates { group: self, order, addresses }
    }

    /// A member is left alone, or lags: the proxy tries it by itself from now on.
    pub(crate) fn look_after(&self, member: &Arc<Member>, at: &TargetAddr) {
        if !member.is_looked_after.swap(true, Ordering::Relaxed) {
            self.unhealthy.add(member, at.clone(), Arc::clone(&self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(targets: &[&str], kept: &mut Kept) -> Group {
        let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
        Group::new("web".into(), targets, &GroupOptions::default(), kept, &Arc::default())
    }

    fn first(group: &Group, port: u16) -> String {
        group.candidates(port).addresses[0].to_string()
    }

    #[test]
    fn members_take_turns_and_keep_or_replace_the_port() {
        let group = group(&["10.0.0.1:3000", "10.0.0.2:preserve"], &mut Kept::default());
        let turns = [443, 443, 443, 8005].map(|port| first(&group, port));
        assert_eq!(turns, ["10.0.0.1:3000", "10.0.0.2:443", "10.0.0.1:3000", "10.0.0.2:8005"]);
    }

    /// A reload that began at the first member again would send it the most connections, the more so the more reloads there are.
    #[test]
    fn the_turn_and_what_is_counted_go_on_in_the_next_configuration() {
        let mut kept = Kept::default();
        let before = group(&["10.0.0.1:1", "10.0.0.2:1"], &mut kept);
        let open = before.iter().next().unwrap().limit.acquire();
        assert_eq!(first(&before, 1), "10.0.0.1:1");
        let after = group(&["10.0.0.2:1", "10.0.0.1:1", "10.0.0.3:1"], &mut kept);
        drop(before);
        assert_eq!((first(&after, 1), after.in_use()), ("10.0.0.1:1".to_owned(), 1));
        drop(after);
        kept.forget();
        assert_eq!(
            kept.members().map(|member| &*member.name).collect::<Vec<_>>(),
            ["10.0.0.1:1"],
            "it has a connection"
        );
        drop(open);
        kept.forget();
        assert_eq!(kept.members().count(), 0);
    }
}
