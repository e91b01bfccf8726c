//! Members that are found by name: those of the last answer, beside those that are listed.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::Group;
use crate::balance::Rank;
use crate::discovery::{Found, NameOptions};
use crate::kept::Kept;
use crate::known::Known;
use crate::member::Member;
use crate::options::{GroupOptions, MemberOptions};
use crate::table::Entry;

/// Adds the members that are known by name to those that are listed.
pub(super) fn extend(members: &mut Vec<MemberOptions>, options: &GroupOptions, kept: &Kept) {
    if options.names.is_empty() {
        return;
    }
    let mut known: HashSet<_> = members.iter().map(|member| member.target.clone()).collect();
    for (nth, name) in numbered(&options.names) {
        let found = kept.names().found(&name.name).unwrap_or_default();
        let new = found.iter().map(|found| name.member(nth, found));
        members.extend(new.filter(|member| known.insert(member.target.clone())));
    }
}

fn numbered(names: &[NameOptions]) -> impl Iterator<Item = (u8, &NameOptions)> {
    (0..u8::MAX).zip(names)
}

impl Group {
    /// The names whose answers are members of it, with what is known of each.
    pub fn names(&self) -> impl Iterator<Item = (&NameOptions, Known)> {
        self.options.names.iter().map(|name| (name, self.kept.names().of(&name.name)))
    }

    /// Whether it has no member yet, and one of its names has not been looked up to an end.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.table.load().len() == 0 && self.names().any(|(_, known)| known.looked_up_at.is_none())
    }

    /// Whether the `nth` of its names has members, and all of them have failed: the last dial, or the check.
    #[must_use]
    pub fn has_failed(&self, nth: usize) -> bool {
        let table = self.table.load();
        let mut of_name = table.entries().iter().filter(|entry| is_of(entry, nth)).peekable();
        let has_failed = |entry: &Entry| {
            let member = &entry.member;
            member.breaker().failures_in_a_row > 0 || member.rank() == Rank::Down
        };
        of_name.peek().is_some() && of_name.all(has_failed)
    }

    /// The `nth` of its names was looked up: `found` are its members from now on. One that is listed, was removed by hand, or is
    /// another name's stays what it is; one that is new starts slowly, but for those of the first answer. An answer without members
    /// changes nothing. Those that are members no more take no connection from now on, but for dials under way: what becomes of the
    /// connections that they have is for the caller to see to.
    pub fn follow(&self, nth: usize, found: Vec<Found>) -> Vec<Arc<Member>> {
        let Some(name) = self.options.names.get(nth).filter(|_| !found.is_empty()) else { return Vec::new() };
        let found: Arc<[Found]> = found.into();
        let first = self.kept.names().found_to_be(&name.name, Arc::clone(&found), Instant::now());
        let gone = self.take(nth, &found, !first);
        self.have_checked();
        gone
    }

    /// The `nth` of its names was looked up to no end, or to one without members. What was known of it holds.
    pub fn was_not_found(&self, nth: usize, why: &str) {
        if let Some(name) = self.options.names.get(nth) {
            self.kept.names().failed(&name.name, why.into(), Instant::now());
        }
    }

    /// Takes what is known of all its names by now.
    pub(super) fn follow_all(&self) {
        self.kept.names().keep(&self.options.names);
        for nth in 0..self.options.names.len() {
            let known = self.options.names.get(nth).and_then(|name| self.kept.names().found(&name.name));
            if let Some(found) = known {
                self.take(nth, &found, true);
            }
        }
    }

    /// Makes `found` the members that the `nth` name has. Whoever is none any more.
    fn take(&self, nth: usize, found: &[Found], starts_slowly: bool) -> Vec<Arc<Member>> {
        let by_hand = self.changing.lock();
        let (Some(name), Ok(number)) = (self.options.names.get(nth), u8::try_from(nth)) else {
            return Vec::new();
        };
        let table = self.table.load_full();
        let (before, others): (Vec<&Entry>, Vec<&Entry>) =
            table.entries().iter().partition(|entry| is_of(entry, nth));
        let taken: HashSet<&str> = others.iter().map(|entry| &*entry.member.name).collect();
        let mut now = Vec::with_capacity(found.len());
        let wanted = found.iter().map(|found| name.member(number, found));
        for member in wanted {
            let target = member.target.to_string();
            if taken.contains(&*target) || by_hand.removed.contains(&*target) {
                continue;
            }
            let known = before.iter().find(|entry| *entry.member.name == *target);
            let taken = known.map_or_else(
                || self.kept.take_one(member.clone(), (&self.options, &self.breaker), starts_slowly),
                |known| Arc::clone(&known.member),
            );
            taken.take_weight(member.weight);
            now.push(Entry::new(taken, &member));
        }
        let is_same = |(one, other): (&&Entry, &Entry)| {
            Arc::ptr_eq(&one.member, &other.member) && one.options() == other.options()
        };
        if (now.is_empty() && others.is_empty())
            || (before.len() == now.len() && before.iter().zip(&now).all(is_same))
        {
            return Vec::new();
        }
        let stays = |entry: &Entry| now.iter().any(|one| Arc::ptr_eq(&one.member, &entry.member));
        let gone: Vec<Arc<Member>> =
            before.iter().filter(|entry| !stays(entry)).map(|entry| Arc::clone(&entry.member)).collect();
        now.iter().for_each(|entry| self.rule(&entry.member));
        self.put(|_| others.into_iter().cloned().chain(now).collect());
        gone.iter().for_each(|member| member.set_in_force(false));
        drop((table, by_hand));
        self.kept.forget();
        gone
    }
}

/// Whether a member was found by the `nth` name.
fn is_of(entry: &Entry, nth: usize) -> bool {
    usize::from(entry.found_by) == nth + 1
}
