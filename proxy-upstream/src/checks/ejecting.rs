//! Groups whose members are taken out by how connections to them end: the rules of [`outliers`], held against what is counted.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::health::outliers::{self, Record, Ruling, Seen};
use crate::health::{Ejection, OutlierOptions};
use crate::member::Member;

/// How often is looked: an outlier is out within half a second of what it did.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// A group that is watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    members: Vec<Weak<Member>>,
    records: Vec<Record>,
    options: OutlierOptions,
}

impl Watched {
    /// These are its members from now on. What is remembered of those that were in it before goes on.
    pub(super) fn follow<'m>(
        &mut self,
        members: impl Iterator<Item = &'m Arc<Member>>,
        options: OutlierOptions,
    ) {
        let (before, mut records) = (std::mem::take(&mut self.members), std::mem::take(&mut self.records));
        records.resize_with(before.len(), Record::default);
        let mut known: Vec<_> = before.into_iter().zip(records).collect();
        for member in members {
            let place = known.iter().position(|(one, _)| one.as_ptr() == Arc::as_ptr(member));
            // One that is new has ended nothing yet, or what it has ended was not looked at.
            let record = place
                .map_or_else(|| Record::from(member.health.outcomes.counts()), |at| known.swap_remove(at).1);
            self.members.push(Arc::downgrade(member));
            self.records.push(record);
        }
        for (gone, _) in known {
            back(&gone);
        }
        self.options = options;
    }

    /// It is watched no more: who is out is back.
    pub(super) fn release(&mut self) {
        self.members.iter().for_each(back);
    }

    /// Looks once; whether any of its members is still in force.
    pub(super) fn look(&mut self, group: &str, now: Instant) -> bool {
        let members: Vec<Option<Arc<Member>>> = self.members.iter().map(Weak::upgrade).collect();
        if !members.iter().flatten().any(|member| member.is_in_force()) {
            self.release();
            return false;
        }
        let seen = |member: &Option<Arc<Member>>| match member {
            Some(member) => {
                Seen { counts: member.health.outcomes.counts(), is_down: member.health.is_down() }
            }
            None => Seen::default(),
        };
        let seen: Vec<Seen> = members.iter().map(seen).collect();
        for (nth, ruling) in outliers::look(&mut self.records, &seen, &self.options, now) {
            if let Some(Some(member)) = members.get(nth) {
                act(group, member, ruling, now);
            }
        }
        true
    }
}

fn act(group: &str, member: &Member, ruling: Ruling, now: Instant) {
    member.health.outcomes.forgive();
    match ruling {
        Ruling::Eject(until, finding) => {
            let for_s = until.saturating_duration_since(now).as_secs();
            warn!(
                group,
                member = %member.name,
                cause = finding.cause.name(),
                "member is ejected for {for_s}s: {finding}"
            );
            member.health.eject(Some(Ejection { since: now, until, finding }));
        }
        Ruling::Return => {
            info!(group, member = %member.name, "member is back after its ejection");
            member.health.eject(None);
            member.is_found_up();
        }
    }
}

fn back(member: &Weak<Member>) {
    if let Some(member) = member.upgrade() {
        member.health.eject(None);
    }
}
