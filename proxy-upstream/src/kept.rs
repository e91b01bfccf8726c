//! What outlives a configuration: the members of a group with all that is counted for them, and whose turn it is.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_conn::BreakerOptions;
use tokio::time::Instant;

use crate::balance::Rotation;
use crate::known::Names;
use crate::member::Member;
use crate::options::{GroupOptions, MemberOptions};

/// What is kept of a group from one configuration to the next: its members with all that is counted for them, those too that are
/// in no configuration any more and have connections; whose turn it is; and what is known of its names. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<State>);

#[derive(Debug, Default)]
struct State {
    members: Mutex<Vec<Arc<Member>>>,
    turn: Rotation,
    names: Names,
}

impl Kept {
    /// Every member that there is, or was and has connections.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.0.members.lock().clone()
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.members.lock().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one of them is in no configuration any more.
    #[must_use]
    pub fn has_spare(&self) -> bool {
        self.0.members.lock().iter().any(|member| !member.is_in_force())
    }

    /// Marks all of them, but for the first so many, as not in force.
    pub fn set_aside(&self, but: usize) {
        self.0.members.lock().iter().skip(but).for_each(|member| member.set_in_force(false));
    }

    /// Forgets the members that are in no group and have no connections.
    pub fn forget(&self) {
        self.0.members.lock().retain(|member| Arc::strong_count(member) > 1 || member.limit.is_shared());
    }

    pub(crate) fn turn(&self) -> &Rotation {
        &self.0.turn
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// Those of a configuration, in its order: who is kept goes on with all that is counted, and who is new is kept from then on.
    /// One that comes to others that were there before starts slowly.
    pub(crate) fn take(
        &self,
        members: Vec<MemberOptions>,
        options: &GroupOptions,
        breaker: &Arc<BreakerOptions>,
    ) -> Vec<Arc<Member>> {
        let kept = &mut *self.0.members.lock();
        let others = !kept.is_empty();
        let mut free: HashMap<Box<str>, Vec<Arc<Member>>> = HashMap::with_capacity(kept.len());
        for member in kept.iter().rev() {
            free.entry(member.name.name().into()).or_default().push(Arc::clone(member));
        }
        let mut one = |member: MemberOptions| {
            let name = member.target.to_string();
            // Taken out: a target that is listed twice has two members.
            let known = free.get_mut(&*name).and_then(Vec::pop);
            let comes = others && known.as_ref().is_none_or(|known| !known.is_in_force());
            let member = known.unwrap_or_else(|| {
                let new = Member::new(name.into(), member, options, breaker);
                kept.push(Arc::clone(&new));
                new
            });
            if comes {
                member.comes(Instant::now());
            }
            member
        };
        let taken = members.into_iter().map(&mut one).collect();
        kept.shrink_to_fit();
        taken
    }

    /// One that is added beside those of a configuration, and `starts_slowly` or not.
    pub(crate) fn take_one(
        &self,
        member: MemberOptions,
        (options, breaker): (&GroupOptions, &Arc<BreakerOptions>),
        starts_slowly: bool,
    ) -> Arc<Member> {
        self.forget();
        let kept = &mut *self.0.members.lock();
        let name = member.target.to_string();
        let known = kept.iter().find(|known| *known.name == *name && !known.is_in_force()).cloned();
        let member = known.unwrap_or_else(|| {
            let new = Member::new(name.into(), member, options, breaker);
            kept.push(Arc::clone(&new));
            new
        });
        if starts_slowly {
            member.comes(Instant::now());
        }
        member
    }
}
