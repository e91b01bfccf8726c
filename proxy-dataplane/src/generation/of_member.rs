//! Which connections are a member's, and which members a change of the settings has removed.

use std::sync::Arc;

use proxy_conn::{ConnView, Reason, Tracked, Tracker};
use proxy_upstream::{Leaving, Member};
use tokio::time::Instant;

use super::Generation;

/// A member of a group, as its connections are found: those that it has by way of this group and no other.
#[derive(Debug)]
pub struct OfMember {
    member: Arc<Member>,
}

/// A member that the settings in force do not have any more.
#[derive(Debug)]
pub struct Removed {
    /// The name of its group.
    pub group: Arc<str>,
    /// What it has.
    pub of: OfMember,
    /// What is to become of that.
    pub on_removed: Leaving,
}

impl OfMember {
    /// Those of a `member`.
    #[must_use]
    pub const fn new(member: Arc<Member>) -> Self {
        Self { member }
    }

    /// The member.
    #[must_use]
    pub const fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Whether a connection is at the member, or is being dialled there.
    #[must_use]
    pub fn includes(&self, view: &ConnView) -> bool {
        // Another member at the same target is called the same, and is counted by itself.
        view.facts.target.as_ref().is_some_and(|target| target.is(&self.member.name))
    }

    /// Its connections.
    #[must_use]
    pub fn connections(&self, tracker: &Tracker) -> Vec<Tracked> {
        let now = Instant::now();
        let mut all = tracker.connections();
        all.retain(|one| self.includes(&one.view(now)));
        all
    }

    /// Ends its connections; how many.
    pub fn end(&self, tracker: &Tracker, reason: Reason) -> usize {
        self.connections(tracker).iter().filter(|one| one.cancel(reason)).count()
    }
}

impl<D> Generation<D> {
    /// The members of this generation's named groups that `next`, which is in force, does not have.
    #[must_use]
    pub fn removed_by(&self, next: &Self) -> Vec<Removed> {
        let of_group = |group: &Arc<proxy_upstream::Group>| {
            let now = next.group(group.name()).unwrap_or(group);
            let (name, on_removed) = (Arc::clone(group.name()), now.options().on_removed);
            let gone = group.members().into_iter().filter(|member| !member.is_in_force());
            let removed = gone.map(|member| {
                let of = OfMember::new(member);
                Removed { group: Arc::clone(&name), of, on_removed }
            });
            removed.collect::<Vec<_>>()
        };
        self.groups().flat_map(of_group).collect()
    }
}
