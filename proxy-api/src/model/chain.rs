//! The chain: hops side by side, and their connections joined by the ids that travel with them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connections::Connection;
use super::findings::Finding;
use super::status::AgeBucket;

/// What a hop says of itself to its neighbours: little enough to be asked for every other second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// Its name (`[admin] name`).
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Its clock, in seconds since 1970.
    pub at: f64,
    /// Since it was started.
    pub uptime_s: f64,
    /// What it does, as its status says it.
    pub state: String,
    /// Whether it takes new connections.
    pub ready: bool,
    /// Which configuration is in force there: 1 for the one it started with.
    pub generation: u64,
    /// Connections that are open.
    pub connections: u64,
    /// The most that may be.
    pub max_connections: u64,
    /// Connections that were opened since the start.
    pub opened_total: u64,
    /// Connections that have ended since the start.
    pub ended_total: u64,
    /// Connections that a limit refused since the start, by cause; causes of which there was none are left out.
    pub refused_total: BTreeMap<String, u64>,
    /// The deadlines of its routes, for connections that came through as many proxies as was asked for; null where no route takes
    /// connections anywhere.
    pub deadlines: Option<HopDeadlines>,
    /// What is wrong there.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// The deadlines that neighbours have to agree on, over all routes of a hop that take connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HopDeadlines {
    /// `connection_timeout`: how long a backend has to accept.
    pub dial: Spread,
    /// How long an established connection may be silent.
    pub idle: Spread,
    /// `half_closed_timeout`: how long a connection of which one side has ended may be silent.
    pub half_closed: Spread,
}

/// A deadline, which is not the same for all routes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The shortest; null for never.
    pub least_s: Option<f64>,
    /// The longest; null for never.
    pub most_s: Option<f64>,
}

/// The hops of a chain, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// When, in seconds since 1970.
    pub at: f64,
    /// The hops, in the order in which connections pass them.
    pub hops: Vec<ChainHop>,
    /// What of the hops' configurations does not fit together.
    pub disagreements: Vec<Disagreement>,
    /// Why the configurations were not compared; null where they were.
    pub not_compared: Option<String>,
    /// Why the tables were not joined; null where they were.
    pub not_joined: Option<String>,
    /// Connections that are on every hop.
    pub on_all_hops: u64,
    /// Connections that are on one side only, or of which that cannot be told; the most serious first.
    pub groups: Vec<ChainGroup>,
    /// How many connections there are across the chain, each counted once.
    pub connections_total: u64,
    /// The first of them: those on one side only first, the oldest first.
    pub connections: Vec<ChainConnection>,
}

/// One hop, as seen from the one that was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainHop {
    /// Its name; where it was asked as long as that is not known. Two of one name have their place in the chain added.
    pub name: String,
    /// Where it is asked; null for the one that was.
    pub place: Option<String>,
    /// Whether it answers.
    pub answers: bool,
    /// Since when it does not, in seconds since 1970; null where it does.
    pub silent_since: Option<f64>,
    /// For how long it does not.
    pub silent_for_s: Option<f64>,
    /// Why it could not be asked.
    pub why: Option<String>,
    /// How far its clock is ahead of the one's that was asked, below zero if behind; null where that is not known.
    pub clock_ahead_s: Option<f64>,
    /// How far off that may be: half of the time that the answer took.
    pub clock_within_s: Option<f64>,
    /// What it said of itself last.
    pub facts: Option<Hop>,
    /// What it was within the last minute; null before it was asked for so long.
    pub minute: Option<HopMinute>,
    /// Connections in its table; null where that was not read.
    pub connections: Option<u64>,
    /// Those by phase and target, the most first, twenty at most.
    pub piles: Vec<Pile>,
}

/// A hop's last minute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HopMinute {
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that have ended.
    pub ended: u64,
    /// Connections that a limit refused, by cause; causes of which there was none are left out.
    pub refused: BTreeMap<String, u64>,
}

/// Connections of one hop that are in one phase and have one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pile {
    /// The phase.
    pub phase: String,
    /// The target; null where there is none yet.
    pub target: Option<String>,
    /// How many.
    pub connections: u64,
    /// The age of the oldest.
    pub oldest_s: f64,
}

/// What of two hops' configurations does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Disagreement {
    /// The hop that connections come to first.
    pub outer: String,
    /// The hop behind it.
    pub inner: String,
    /// Whose configuration it is best changed in.
    pub at: String,
    /// What is so, in a sentence.
    pub sentence: String,
    /// What to write.
    pub mends: Option<String>,
    /// Whether it is advice: no connection ends for it, but something of it is lost.
    #[serde(default)]
    pub advice: bool,
}

/// Connections of which the same is to be said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainGroup {
    /// How many.
    pub count: u64,
    /// The hop where they were last seen, or first where they are missing before it.
    pub hop: String,
    /// The hop where they should be too, and are not.
    pub not_on: Option<String>,
    /// `missing_after` and `missing_before` are on one side only; of the others that cannot be told.
    pub verdict: String,
    /// Their phase there.
    pub phase: String,
    /// Their target there.
    pub target: Option<String>,
    /// The age of the oldest.
    pub oldest_s: f64,
    /// The longest that one of them has been in its phase.
    pub longest_in_phase_s: f64,
    /// How old they are: how many are at most so old, and older than the bound before. The last bound is null: any age.
    pub ages: Vec<AgeBucket>,
    /// What it means, and where to look.
    pub meaning: String,
}

impl ChainGroup {
    /// Whether they are on one side only, as far as anybody can tell.
    #[must_use]
    pub fn is_one_sided(&self) -> bool {
        ["missing_after", "missing_before"].contains(&&*self.verdict)
    }
}

/// One connection across the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainConnection {
    /// `whole`, or as that of its group.
    pub verdict: String,
    /// The connection on each hop; null where it is not.
    pub on: Vec<Option<Connection>>,
}
