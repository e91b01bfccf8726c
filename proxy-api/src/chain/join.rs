//! Joining the hops' tables.

use std::collections::{HashMap, HashSet};

use crate::model::Connection;

/// What was read of one hop.
#[derive(Debug, Clone)]
pub struct HopTable {
    /// Its name.
    pub name: String,
    /// Its routes, and whether each sends a connection's id on.
    pub routes: HashMap<String, bool>,
    /// Its listeners: address and port each.
    pub listeners: Vec<String>,
    /// Its connections.
    pub connections: Vec<Connection>,
}

/// Hops whose connections have been joined.
#[derive(Debug)]
pub struct Joined {
    pub(super) hops: Vec<HopTable>,
    pub(super) lives: Vec<Life>,
}

/// One connection across the chain.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Where it is on each hop: an index into that hop's connections.
    pub(super) on: Vec<Option<usize>>,
    pub(super) kind: Kind,
}

/// What is to be made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// It is on all hops, from the first to the last.
    Whole,
    /// It is missing on a hop where it should be, and the hop before has it.
    MissingAfter(usize),
    /// It is on this hop and those after it, came from a hop before, and is not there (any more).
    MissingBefore(usize),
    /// This hop, its last, has not begun to reach the next: it reads the client's first bytes.
    NotYet(usize),
    /// Its route on this hop sends no id: nobody can tell where it goes on.
    NoIdSent(usize),
    /// It came to this hop without an id: not from the hop before, or from a route that sends none.
    NoIdCame(usize),
    /// This hop still reads its PROXY header: nobody can tell where it came from.
    HeaderUnread(usize),
    /// It was one-sided once only: it came, went or moved on between the readings.
    Moving,
}

/// Two hops of which the first is named after the second although connections come to it before: by their names.
#[must_use]
pub fn turned(hops: &[HopTable]) -> Option<(&str, &str)> {
    let comes_through = |hop: &HopTable, before: &HopTable| {
        let ids: HashSet<&str> = before.connections.iter().map(|connection| connection.id.as_str()).collect();
        hop.connections.iter().flat_map(|connection| &connection.previous).any(|id| ids.contains(id.as_str()))
    };
    let pairs =
        hops.iter().enumerate().flat_map(|(n, hop)| hops.iter().skip(n + 1).map(move |later| (hop, later)));
    pairs
        .filter(|(hop, later)| comes_through(hop, later) && !comes_through(later, hop))
        .map(|(hop, later)| (later.name.as_str(), hop.name.as_str()))
        .next()
}

/// Joins each hop's connections with those of the hops before, by the ids that they had there.
#[must_use]
pub fn join(hops: Vec<HopTable>) -> Joined {
    let mut rows: Vec<Vec<Option<usize>>> = Vec::new();
    // Which row has a connection, by its id on a hop before.
    let mut row_of: HashMap<&str, usize> = HashMap::new();
    for (n, hop) in hops.iter().enumerate() {
        let mut here = Vec::new();
        let mut youngest_first: Vec<usize> = (0..hop.connections.len()).collect();
        let age = |index: &usize| hop.connections.get(*index).map_or(0.0, |connection| connection.age_s);
        youngest_first.sort_by(|a, b| age(a).total_cmp(&age(b)));
        for index in youngest_first {
            let Some(connection) = hop.connections.get(index) else { continue };
            let known = connection.previous.iter().rev().find_map(|id| row_of.get(id.as_str()).copied());
            // A hop that dials again has two connections to the next for one: the younger is the one it uses, the other is left over.
            let free =
                known.filter(|row| rows.get(*row).and_then(|on| on.get(n)).is_some_and(Option::is_none));
            let row = free.unwrap_or_else(|| {
                rows.push(vec![None; hops.len()]);
                rows.len() - 1
            });
            if let Some(place) = rows.get_mut(row).and_then(|on| on.get_mut(n)) {
                *place = Some(index);
            }
            here.push((connection.id.as_str(), row));
        }
        row_of.extend(here);
    }
    let lives = rows.into_iter().map(|on| Life { kind: kind(&hops, &on), on }).collect();
    Joined { hops, lives }
}

fn kind(hops: &[HopTable], on: &[Option<usize>]) -> Kind {
    let found = |n: usize| {
        let index = on.get(n).copied().flatten()?;
        hops.get(n)?.connections.get(index)
    };
    let there: Vec<usize> = (0..hops.len()).filter(|n| found(*n).is_some()).collect();
    let (Some(&first), Some(&last)) = (there.first(), there.last()) else { return Kind::Moving };
    if first > 0
        && let Some(connection) = found(first)
        && let Some(kind) = came_from_nowhere(first, connection)
    {
        return kind;
    }
    if first > 0 {
        return Kind::MissingBefore(first);
    }
    if let Some(gap) = (first..last).find(|n| found(*n).is_none()) {
        // The hops around it know of each other, so it went that way.
        return Kind::MissingAfter(gap - 1);
    }
    if last + 1 == hops.len() {
        return Kind::Whole;
    }
    match (found(last), hops.get(last)) {
        (Some(connection), Some(hop)) => goes_nowhere(last, connection, hop),
        _ => Kind::Moving,
    }
}

/// Why a connection is on no hop before, where it need not be.
fn came_from_nowhere(hop: usize, connection: &Connection) -> Option<Kind> {
    match (connection.phase.as_str(), connection.previous.is_empty()) {
        (_, false) => None,
        ("header", true) => Some(Kind::HeaderUnread(hop)),
        (_, true) => Some(Kind::NoIdCame(hop)),
    }
}

/// Why a connection is on no hop after.
fn goes_nowhere(hop: usize, connection: &Connection, of: &HopTable) -> Kind {
    if matches!(connection.phase.as_str(), "header" | "peek") {
        return Kind::NotYet(hop);
    }
    let sends = connection.route.as_ref().and_then(|route| of.routes.get(route));
    match sends {
        // A route that is not listed has gone from the configuration: what it sent is not known, so it is not excused.
        Some(true) | None => Kind::MissingAfter(hop),
        Some(false) => Kind::NoIdSent(hop),
    }
}

impl Kind {
    /// Whether a second reading may show that it was only on its way.
    pub(super) fn is_one_sided(self) -> bool {
        matches!(self, Self::MissingAfter(_) | Self::MissingBefore(_))
    }
}

impl Joined {
    /// Whether nothing is one-sided.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lives.iter().all(|life| !life.kind.is_one_sided())
    }

    /// This reading, in which only what was one-sided `before` too, on the same hops, is called so.
    #[must_use]
    pub fn confirmed_by(mut self, before: &Self) -> Self {
        let suspects: HashSet<_> = before.one_sided().collect();
        let kinds: Vec<Kind> = (self.lives.iter())
            .map(|life| match life.kind.is_one_sided() && !suspects.contains(&(self.ids(life), life.kind)) {
                true => Kind::Moving,
                false => life.kind,
            })
            .collect();
        for (life, kind) in self.lives.iter_mut().zip(kinds) {
            life.kind = kind;
        }
        self
    }

    fn one_sided(&self) -> impl Iterator<Item = (Vec<Option<&str>>, Kind)> {
        self.lives.iter().filter(|life| life.kind.is_one_sided()).map(|life| (self.ids(life), life.kind))
    }

    /// Its ids on the hops.
    fn ids(&self, life: &Life) -> Vec<Option<&str>> {
        (0..self.hops.len()).map(|hop| Some(self.on(life, hop)?.id.as_str())).collect()
    }

    /// It on one hop.
    pub(super) fn on(&self, life: &Life, hop: usize) -> Option<&Connection> {
        let index = life.on.get(hop).copied().flatten()?;
        self.hops.get(hop)?.connections.get(index)
    }
}

#[cfg(test)]
mod tests;
