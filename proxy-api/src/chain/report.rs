//! What joined tables say: how many live where, why, and which.

mod meaning;

use std::collections::BTreeMap;

use super::join::{HopTable, Joined, Kind, Life};
use crate::model::{AgeBucket, Chain, ChainConnection, ChainGroup, Connection, Pile};
use meaning::meaning;

/// The ages that connections of a group are counted by, in seconds: none of the first is worth a word, those of the last are.
const AGES: [f64; 4] = [10.0, 60.0, 600.0, 3600.0];

/// Piles of a hop that are shown.
const PILES: usize = 20;

/// Says of `chain` what the joined tables do: its groups, and `most` connections. Its hops have to be those of the tables.
#[must_use]
pub fn chain(chain: Chain, joined: &Joined, most: usize) -> Chain {
    let names: Vec<String> = chain.hops.iter().map(|hop| hop.name.clone()).collect();
    Chain {
        on_all_hops: joined.lives.iter().filter(|life| life.kind == Kind::Whole).count() as u64,
        groups: groups(joined, &names),
        connections_total: joined.lives.len() as u64,
        connections: rows(joined, most),
        ..chain
    }
}

/// The names of hops, each its own: two that have the same get their place in the chain added.
#[must_use]
pub fn names(hops: &[&str]) -> Vec<String> {
    let twice = |name: &str| hops.iter().filter(|hop| **hop == name).count() > 1;
    let named = hops.iter().enumerate();
    named
        .map(|(n, name)| if twice(name) { format!("{name}#{}", n + 1) } else { (*name).to_owned() })
        .collect()
}

/// What there is to say of a hop by itself: its connections by phase and target, the most first.
#[must_use]
pub fn piles(table: &HopTable) -> Vec<Pile> {
    let mut piles: BTreeMap<(&str, Option<&str>), Pile> = BTreeMap::new();
    for connection in &table.connections {
        let key = (&*connection.phase, connection.target.as_deref());
        let pile = piles.entry(key).or_insert_with(|| Pile {
            phase: connection.phase.clone(),
            target: connection.target.clone(),
            connections: 0,
            oldest_s: 0.0,
        });
        pile.connections += 1;
        pile.oldest_s = pile.oldest_s.max(connection.age_s);
    }
    let mut piles: Vec<_> = piles.into_values().collect();
    piles.sort_by_key(|pile| std::cmp::Reverse(pile.connections));
    piles.truncate(PILES);
    piles
}

fn verdict(kind: Kind) -> &'static str {
    match kind {
        Kind::Whole => "whole",
        Kind::MissingAfter(_) => "missing_after",
        Kind::MissingBefore(_) => "missing_before",
        Kind::NotYet(_) => "not_dialled_yet",
        Kind::NoIdSent(_) => "sent_on_without_id",
        Kind::NoIdCame(_) => "came_without_id",
        Kind::HeaderUnread(_) => "header_unread",
        Kind::Moving => "came_or_went_meanwhile",
    }
}

/// The hop that a verdict is about: the last one that has the connection, or the first.
fn about(life: &Life) -> usize {
    match life.kind {
        Kind::MissingAfter(hop)
        | Kind::MissingBefore(hop)
        | Kind::NotYet(hop)
        | Kind::NoIdSent(hop)
        | Kind::NoIdCame(hop)
        | Kind::HeaderUnread(hop) => hop,
        Kind::Whole | Kind::Moving => life.on.iter().position(Option::is_some).unwrap_or_default(),
    }
}

/// The hop on which it should be too.
fn not_on(kind: Kind) -> Option<usize> {
    match kind {
        Kind::MissingAfter(hop) => Some(hop + 1),
        Kind::MissingBefore(hop) => hop.checked_sub(1),
        Kind::Whole
        | Kind::NotYet(_)
        | Kind::NoIdSent(_)
        | Kind::NoIdCame(_)
        | Kind::HeaderUnread(_)
        | Kind::Moving => None,
    }
}

fn groups(joined: &Joined, names: &[String]) -> Vec<ChainGroup> {
    let mut groups: BTreeMap<(bool, usize, &str, &str, Option<&str>), ChainGroup> = BTreeMap::new();
    for life in joined.lives.iter().filter(|life| life.kind != Kind::Whole) {
        let hop = about(life);
        let Some(connection) = joined.on(life, hop) else { continue };
        let target = connection.target.as_deref().filter(|_| life.kind != Kind::Moving);
        let phase = if life.kind == Kind::Moving { "any phase" } else { &*connection.phase };
        let key = (!life.kind.is_one_sided(), hop, verdict(life.kind), phase, target);
        let group = groups.entry(key).or_insert_with(|| ChainGroup {
            hop: names.get(hop).cloned().unwrap_or_default(),
            not_on: not_on(life.kind).and_then(|hop| names.get(hop).cloned()),
            meaning: meaning(joined, life.kind, names, connection),
            ..empty(verdict(life.kind), phase, target)
        });
        add(group, connection);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (!group.is_one_sided(), std::cmp::Reverse(group.count)));
    groups
}

fn empty(verdict: &str, phase: &str, target: Option<&str>) -> ChainGroup {
    let bounds = AGES.into_iter().map(Some).chain([None]);
    ChainGroup {
        count: 0,
        hop: String::new(),
        not_on: None,
        verdict: verdict.to_owned(),
        phase: phase.to_owned(),
        target: target.map(ToOwned::to_owned),
        oldest_s: 0.0,
        longest_in_phase_s: 0.0,
        ages: bounds.map(|at_most_s| AgeBucket { at_most_s, connections: 0 }).collect(),
        meaning: String::new(),
    }
}

fn add(group: &mut ChainGroup, connection: &Connection) {
    group.count += 1;
    group.oldest_s = group.oldest_s.max(connection.age_s);
    group.longest_in_phase_s = group.longest_in_phase_s.max(connection.in_phase_s);
    let of_age = |bucket: &&mut AgeBucket| bucket.at_most_s.is_none_or(|most| connection.age_s <= most);
    if let Some(bucket) = group.ages.iter_mut().find(of_age) {
        bucket.connections += 1;
    }
}

fn rows(joined: &Joined, most: usize) -> Vec<ChainConnection> {
    let eldest = |life: &Life| {
        let ages = (0..joined.hops.len()).filter_map(|hop| Some(joined.on(life, hop)?.age_s));
        ages.fold(0.0, f64::max)
    };
    let mut lives: Vec<_> = joined.lives.iter().map(|life| (eldest(life), life)).collect();
    lives.sort_by(|(age, a), (other, b)| {
        let order = (!a.kind.is_one_sided()).cmp(&!b.kind.is_one_sided());
        order.then(other.total_cmp(age))
    });
    lives
        .into_iter()
        .take(most)
        .map(|(_, life)| ChainConnection {
            verdict: verdict(life.kind).to_owned(),
            on: (0..joined.hops.len()).map(|hop| joined.on(life, hop).cloned()).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{after, connection, hop};
    use super::super::join;
    use super::*;

    #[test]
    fn two_hops_of_one_name_are_told_apart() {
        assert_eq!(names(&["proxy", "proxy", "inner"]), ["proxy#1", "proxy#2", "inner"]);
    }

    #[test]
    fn a_hop_by_itself_is_told_by_phase_and_target() {
        let mut all = vec![connection("1", "dial"), Connection { age_s: 90.0, ..connection("2", "relay") }];
        all.extend((3..6).map(|n| connection(&n.to_string(), "relay")));
        let told: Vec<_> = piles(&hop("outer", all))
            .into_iter()
            .map(|pile| (pile.phase, pile.connections, pile.oldest_s))
            .collect();
        assert_eq!(told, [("relay".to_owned(), 4, 90.0), ("dial".to_owned(), 1, 61.0)]);
    }

    #[test]
    fn those_of_a_group_are_counted_by_age_and_the_bound_itself_is_still_within() {
        let aged = |id: &str, age_s| Connection { age_s, ..after(id, "relay", &["gone"]) };
        let ages = [("1", 10.0), ("2", 10.1), ("3", 60.0), ("4", 3600.1)];
        let inner = hop("inner", ages.iter().map(|(id, age)| aged(id, *age)).collect());
        let joined = join(vec![hop("outer", vec![]), inner]);
        let groups = groups(&joined, &["outer".to_owned(), "inner".to_owned()]);
        let counts: Vec<_> = groups[0].ages.iter().map(|bucket| bucket.connections).collect();
        assert_eq!((groups.len(), &*groups[0].verdict, counts), (1, "missing_before", vec![1, 2, 0, 0, 1]));
    }
}
