//! What the joined tables say: how many live where, why, and which.

mod meaning;

use std::collections::BTreeMap;

use serde::Serialize;

use super::join::{Hop, Joined, Kind, Life};
use crate::conns;
use crate::format::{Align, Table, age, plain};
use meaning::meaning;
use proxy_api::model::Connection;

/// What there is to say of a chain.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    hops: Vec<HopFigures>,
    /// Connections that are on every hop.
    on_all_hops: u64,
    /// Connections that are on one side only, or of which that cannot be told; the most serious first.
    groups: Vec<Group>,
    /// Every connection; those on one side only first, the oldest first.
    connections: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct HopFigures {
    name: String,
    connections: u64,
}

/// Connections of which the same is to be said.
#[derive(Debug, Serialize)]
struct Group {
    count: u64,
    /// Where they were last seen, or first where they are missing before it.
    hop: String,
    /// Where they should be too, and are not.
    not_on: Option<String>,
    verdict: &'static str,
    phase: String,
    target: Option<String>,
    /// The age of the oldest.
    oldest_s: f64,
    /// The longest that one of them has been in its phase.
    longest_in_phase_s: f64,
    /// What it means, and where to look.
    meaning: String,
}

#[derive(Debug, Serialize)]
struct Row {
    verdict: &'static str,
    /// The connection on each hop; null where it is not.
    on: Vec<Option<Connection>>,
}

/// The names of hops, each its own: two that have the same get their place in the chain added.
fn names(joined: &Joined) -> Vec<String> {
    let twice = |name: &str| joined.hops.iter().filter(|hop| hop.name == name).count() > 1;
    let hops = joined.hops.iter().enumerate();
    hops.map(|(n, hop)| if twice(&hop.name) { format!("{}#{}", hop.name, n + 1) } else { hop.name.clone() })
        .collect()
}

impl Report {
    pub(super) fn of(joined: &Joined) -> Self {
        let names = names(joined);
        let figures = joined.hops.iter().zip(&names);
        let hops = figures
            .map(|(hop, name)| HopFigures { name: name.clone(), connections: hop.connections.len() as u64 })
            .collect();
        let on_all_hops = joined.lives.iter().filter(|life| life.kind == Kind::Whole).count() as u64;
        Self { hops, on_all_hops, groups: groups(joined, &names), connections: rows(joined) }
    }

    /// For people: the summary, and a table of at most `most`.
    pub(super) fn told(&self, most: usize) -> String {
        let hops: Vec<_> = self.hops.iter().map(|hop| format!("{} {}", hop.name, hop.connections)).collect();
        let mut text =
            format!("{}: {} on every hop{}\n", hops.join(", "), self.on_all_hops, self.one_sided());
        for group in &self.groups {
            text.push_str(&plain(&group.line(self.hops.len())));
            text.push_str(&format!("\n      {}\n", plain(&group.meaning)));
        }
        if !self.connections.is_empty() {
            text.push_str(&format!("\n{}", self.table(most)));
        }
        let more = self.connections.len().saturating_sub(most);
        if more > 0 {
            text.push_str(&format!("and {more} more (--limit)\n"));
        }
        text
    }

    /// How many are where alone.
    fn one_sided(&self) -> String {
        let mut sides: Vec<(String, u64)> = Vec::new();
        for group in self.groups.iter().filter(|group| group.is_one_sided()) {
            let side = group.side(self.hops.len());
            match sides.iter_mut().find(|(known, _)| *known == side) {
                Some((_, count)) => *count += group.count,
                None => sides.push((side, group.count)),
            }
        }
        if sides.is_empty() {
            return ", none on one side only".to_owned();
        }
        sides.iter().map(|(side, count)| format!(", {count} {side}")).collect()
    }

    fn table(&self, most: usize) -> Table {
        let mut columns = Vec::new();
        for hop in &self.hops {
            columns.extend([(&*hop.name, Align::Left), ("PHASE", Align::Left), ("AGE", Align::Right)]);
        }
        columns.extend([("CLIENT", Align::Left), ("→ TARGET", Align::Left)]);
        let mut table = Table::new(&columns);
        for row in self.connections.iter().take(most) {
            let mut cells = Vec::new();
            for connection in &row.on {
                match connection {
                    Some(there) => cells.extend([there.id.clone(), there.phase.clone(), age(there.age_s)]),
                    None => cells.extend(["-".to_owned(), "-".to_owned(), "-".to_owned()]),
                }
            }
            let there = || row.on.iter().flatten();
            cells.push(there().next().map(conns::client).unwrap_or_default());
            cells.push(there().next_back().map(conns::target).unwrap_or_default());
            table.row(cells);
        }
        table
    }
}

impl Group {
    fn is_one_sided(&self) -> bool {
        [MISSING_AFTER, MISSING_BEFORE].contains(&self.verdict)
    }

    /// Where it is alone, in a chain of so many hops.
    fn side(&self, hops: usize) -> String {
        match &self.not_on {
            Some(other) if hops > 2 => format!("on {}, not on {other}", self.hop),
            Some(_) | None => format!("on {} only", self.hop),
        }
    }

    fn line(&self, hops: usize) -> String {
        let (mark, place) = match self.is_one_sided() {
            true => ('!', self.side(hops)),
            false => (' ', format!("on {}, {}", self.hop, self.verdict.replace('_', " "))),
        };
        let target = self.target.as_ref().map(|target| format!(" → {target}")).unwrap_or_default();
        format!("{mark} {} {place}, in {}{target}, the oldest {}", self.count, self.phase, age(self.oldest_s))
    }
}

const MISSING_AFTER: &str = "missing_after";
const MISSING_BEFORE: &str = "missing_before";

fn verdict(kind: Kind) -> &'static str {
    match kind {
        Kind::Whole => "whole",
        Kind::MissingAfter(_) => MISSING_AFTER,
        Kind::MissingBefore(_) => MISSING_BEFORE,
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

fn groups(joined: &Joined, names: &[String]) -> Vec<Group> {
    let mut groups: BTreeMap<(bool, usize, &str, &str, Option<&str>), Group> = BTreeMap::new();
    for life in joined.lives.iter().filter(|life| life.kind != Kind::Whole) {
        let hop = about(life);
        let Some(connection) = joined.on(life, hop) else { continue };
        let target = connection.target.as_deref().filter(|_| life.kind != Kind::Moving);
        let phase = if life.kind == Kind::Moving { "any phase" } else { &*connection.phase };
        let key = (!life.kind.is_one_sided(), hop, verdict(life.kind), phase, target);
        let group = groups.entry(key).or_insert_with(|| Group {
            count: 0,
            hop: names.get(hop).cloned().unwrap_or_default(),
            not_on: not_on(life.kind).and_then(|hop| names.get(hop).cloned()),
            verdict: verdict(life.kind),
            phase: phase.to_owned(),
            target: target.map(ToOwned::to_owned),
            oldest_s: 0.0,
            longest_in_phase_s: 0.0,
            meaning: meaning(joined, life.kind, names, connection),
        });
        group.count += 1;
        group.oldest_s = group.oldest_s.max(connection.age_s);
        group.longest_in_phase_s = group.longest_in_phase_s.max(connection.in_phase_s);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (!group.is_one_sided(), std::cmp::Reverse(group.count)));
    groups
}

/// What there is to say of a hop by itself, where another does not answer.
pub(super) fn alone(hop: &Hop) -> String {
    let mut groups: BTreeMap<(&str, &str), (u64, f64)> = BTreeMap::new();
    for connection in &hop.connections {
        let key = (&*connection.phase, connection.target.as_deref().unwrap_or("-"));
        let (count, oldest) = groups.entry(key).or_default();
        *count += 1;
        *oldest = oldest.max(connection.age_s);
    }
    let mut text = format!("{} {}\n", hop.name, hop.connections.len());
    for ((phase, target), (count, oldest)) in groups {
        text.push_str(&plain(&format!("  {count} in {phase} → {target}, the oldest {}", age(oldest))));
        text.push('\n');
    }
    text
}

fn rows(joined: &Joined) -> Vec<Row> {
    let eldest = |life: &Life| {
        let ages = (0..joined.hops.len()).filter_map(|hop| Some(joined.on(life, hop)?.age_s));
        ages.fold(0.0, f64::max)
    };
    let mut lives: Vec<_> = joined.lives.iter().collect();
    lives.sort_by(|a, b| {
        let order = (!a.kind.is_one_sided()).cmp(&!b.kind.is_one_sided());
        order.then(eldest(b).total_cmp(&eldest(a)))
    });
    lives
        .into_iter()
        .map(|life| Row {
            verdict: verdict(life.kind),
            on: (0..joined.hops.len()).map(|hop| joined.on(life, hop).cloned()).collect(),
        })
        .collect()
}
