//! The members of a group as choices see them: made anew when one of them, a weight or a level changes, and exchanged whole.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::balance::turn::mix;
use crate::balance::{Choice, FEW, Plan, Rank, Rotation, Seen, Sight, Weighed};
use crate::key::{Key, of_name};
use crate::member::Member;
use crate::options::{Balance, GroupOptions, MemberOptions, Weight};
use crate::sighted::Sighted;

/// A member, and how the configuration says that it is used.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) member: Arc<Member>,
    /// What the configuration says; the member knows what it is.
    pub(crate) weight: Weight,
    priority: u8,
    backup: bool,
    pub(crate) found_by: u8,
}

impl Entry {
    pub(crate) fn new(member: Arc<Member>, configured: &MemberOptions) -> Self {
        let MemberOptions { weight, priority, backup, found_by, .. } = *configured;
        Self { member, weight, priority, backup, found_by }
    }

    /// The same as it was configured.
    pub(crate) fn options(&self) -> MemberOptions {
        let options = MemberOptions::new(self.member.target().clone());
        options.weight(self.weight).priority(self.priority).backup(self.backup).found_by(self.found_by)
    }

    fn weighed(&self) -> Weighed {
        Weighed {
            weight: self.member.weight_under(self.weight).get(),
            priority: self.priority,
            backup: self.backup,
            id: of_name(&self.member.name),
        }
    }
}

/// The members of a group, in the order of the plan, and the plan.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Box<[Entry]>,
    plan: Plan,
    balance: Balance,
    slow_start: Option<Duration>,
    /// Who serves, where there are too many to be looked at for each choice.
    sighted: Sighted,
}

impl Table {
    /// The table of these members; they are in the order of the configuration.
    pub(crate) fn new(mut entries: Vec<Entry>, options: &GroupOptions) -> Self {
        // Stable: members of a level stay in their order.
        entries.sort_by_key(|entry| entry.weighed().order());
        let weighed: Vec<_> = entries.iter().map(Entry::weighed).collect();
        let plan = Plan::new(&weighed, options.balance, options.panic_threshold.get());
        let sighted = Sighted::new(entries.len());
        let slow_start = options.slow_start.map(proxy_core::Bound::get);
        Self { entries: entries.into(), plan, balance: options.balance, slow_start, sighted }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn member(&self, at: usize) -> Option<&Arc<Member>> {
        self.entries.get(at).map(|entry| &entry.member)
    }

    /// Whether a weight has changed since it was made.
    pub(crate) fn is_stale(&self) -> bool {
        let now = |entry: &Entry| entry.member.weight_under(entry.weight).get();
        self.entries.iter().enumerate().any(|(at, entry)| self.plan.weight(at) != now(entry))
    }

    /// The place of the member that a connection is offered to first, and the places that those have that serve. With one member or
    /// none nothing is looked at.
    pub(crate) fn choose(&self, turn: &Rotation, key: &Key<'_>) -> (usize, std::ops::Range<usize>) {
        if self.len() < 2 {
            return (0, 0..self.len());
        }
        let view = View { table: self, now: Cell::new(None) };
        let key = match self.balance {
            Balance::Hash(of) => key.hash(of).unwrap_or_else(|| mix(turn.now())),
            Balance::RoundRobin
            | Balance::LeastConnections
            | Balance::P2c
            | Balance::Random
            | Balance::First => 0,
        };
        let mut sight = self.sight(&view, turn);
        let mut choice = self.plan.choose(&view, &sight, turn, key);
        if choice.is_some_and(|choice| !choice.sure) && self.len() > FEW {
            sight = self.sighted.anew(|| self.plan.look(&view), turn, view.now());
            choice = self.plan.choose(&view, &sight, turn, key);
        }
        let Choice { at, .. } = choice.unwrap_or(Choice { at: 0, sure: false });
        (at, self.plan.places(sight.way))
    }

    fn sight(&self, view: &View<'_>, turn: &Rotation) -> Sight {
        if self.len() <= FEW {
            return self.plan.look(view);
        }
        self.sighted.sight(|| self.plan.look(view), turn, || view.now())
    }
}

/// The members at the moment of one choice.
struct View<'t> {
    table: &'t Table,
    /// What time it is, once somebody has asked.
    now: Cell<Option<Instant>>,
}

impl View<'_> {
    fn now(&self) -> Instant {
        let now = self.now.get().unwrap_or_else(Instant::now);
        self.now.set(Some(now));
        now
    }
}

impl Seen for View<'_> {
    fn rank(&self, at: usize) -> Rank {
        let Some(member) = self.table.member(at) else { return Rank::Closed };
        let rank = member.rank_at(|| self.now());
        if self.table.slow_start.is_some() {
            member.note(rank, || self.now());
        }
        rank
    }

    fn share(&self, at: usize) -> u32 {
        self.table.member(at).map_or(0, |member| member.share_at(self.table.slow_start, || self.now()))
    }

    fn open(&self, at: usize) -> u64 {
        self.table.member(at).map_or(0, |member| member.limit.in_use() as u64)
    }

    fn latency(&self, at: usize) -> u32 {
        self.table.member(at).map_or(0, |member| member.dials.recent())
    }
}
