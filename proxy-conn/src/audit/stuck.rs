//! Where connections are stuck: a backend that has never answered is one thing to say, however many wait for it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::compare::Suspect;
use super::report::FINDINGS_OF_A_KIND;
use crate::entry::Talk;
use crate::id::ConnId;
use crate::tracker::Tracker;

/// The connections of a route to a target that it has never answered. Its `Display` is a whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckAt {
    /// The target.
    pub target: Option<Arc<str>>,
    /// The route.
    pub route: Option<Arc<str>>,
    /// How many there are.
    pub connections: usize,
    /// Of these, those on which the client has said nothing either: it waits for a server that is to speak first.
    pub silent: usize,
    /// The age of the oldest.
    pub oldest: Duration,
    /// Their ids, the oldest first; at most [`FINDINGS_OF_A_KIND`] of all places together.
    pub ids: Vec<ConnId>,
}

impl fmt::Display for StuckAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, route, connections, silent, oldest, ids: _ } = self;
        let known = |name: &Option<Arc<str>>| name.clone().unwrap_or_else(|| "-".into());
        let (target, route) = (known(target), known(route));
        write!(
            f,
            "stuck: {connections} on {target}, route {route}, the oldest {oldest:.0?}, never answered"
        )?;
        if *silent > 0 { write!(f, " ({silent} of them without a word from either side)") } else { Ok(()) }
    }
}

/// Where these are, the most first; as many places as there are findings of a kind. Those that have ended meanwhile are left out.
pub(super) fn places(tracker: &Tracker, stuck: &[Suspect], now: Instant) -> Vec<StuckAt> {
    if stuck.is_empty() {
        return Vec::new();
    }
    let silent = |suspect: &&Suspect| suspect.conn.talk == Talk::Silent;
    let silent: HashSet<_> = stuck.iter().filter(silent).map(|suspect| suspect.conn.id).collect();
    let ids: HashSet<_> = stuck.iter().map(|suspect| suspect.conn.id).collect();
    let mut places = HashMap::new();
    for one in tracker.connections().iter().filter(|one| ids.contains(&one.id())) {
        let facts = one.view(now).facts;
        let name = |tally: crate::Tally| Arc::from(tally.name());
        let (target, route) = (facts.target.map(name), facts.route.map(name));
        let place = places.entry((target.clone(), route.clone())).or_insert_with(|| StuckAt {
            target,
            route,
            connections: 0,
            silent: 0,
            oldest: Duration::ZERO,
            ids: Vec::new(),
        });
        place.connections += 1;
        place.silent += usize::from(silent.contains(&one.id()));
        place.oldest = place.oldest.max(one.age(now));
        place.ids.push(one.id());
    }
    let mut places: Vec<_> = places.into_values().collect();
    places.sort_by(|a, b| {
        let key = |at: &StuckAt| (Reverse(at.connections), Reverse(at.oldest));
        key(a).cmp(&key(b)).then_with(|| (&a.target, &a.route).cmp(&(&b.target, &b.route)))
    });
    places.truncate(FINDINGS_OF_A_KIND);
    let mut room = FINDINGS_OF_A_KIND;
    for place in &mut places {
        place.ids.sort_unstable_by_key(|id| id.count);
        place.ids.truncate(room);
        room -= place.ids.len();
    }
    places
}
