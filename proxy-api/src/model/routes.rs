//! Routes, targets, pools, listeners and limits, and drains of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcomes::Outcomes;
use super::phases::Phases;
use super::sampled::SampledSockets;
use super::usage::Usage;

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its connections: open, and the most there may be.
    pub connections: Usage,
    /// Of its connections in dial, how many wait for a place; they are not among the open ones.
    #[serde(default)]
    pub waiting: u64,
    /// Of its connections in dial, how many are told in order that there is no place (`at_limit = "close"`): a second each at most. They
    /// are not among the open ones.
    #[serde(default)]
    pub turned_away: u64,
    /// Its connections by phase.
    pub phases: Phases,
    /// The age of the oldest of them; null if there is none.
    pub oldest_s: Option<f64>,
    /// Bytes that its open connections have read from their clients.
    pub from_client_bytes: u64,
    /// Bytes that its open connections have read from their backends.
    pub from_backend_bytes: u64,
    /// Which PROXY header its targets are sent: `v1` or `v2`; null for none.
    pub send_proxy: Option<String>,
    /// Whether that header carries a connection's id on: `v2`, unless the field `unique_id` is not among its fields.
    pub sends_id: bool,
    /// The group that it is taken to, if that has a name; its members are told of with the group. Null where the route lists its
    /// targets.
    #[serde(default)]
    pub group: Option<String>,
    /// The targets that it lists.
    pub targets: Vec<Target>,
    /// Whether it takes no new connections, since somebody drains it.
    pub draining: bool,
    /// Whether it is in the configuration in force. If not, it has connections that began before.
    pub in_force: bool,
    /// Whether the configuration in force has it take connections (`enabled`).
    pub enabled: bool,
    /// What became of its connections since the start.
    #[serde(default)]
    pub outcomes: Outcomes,
    /// What the kernel said of some of its connections within the last minute; null where none was looked at.
    #[serde(default)]
    pub sockets: Option<SampledSockets>,
}

/// A target of a route, or a member of a group that has a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Its route; empty for a member of a group that has a name.
    pub route: String,
    /// Its group, where that has a name.
    #[serde(default)]
    pub group: Option<String>,
    /// Where it is.
    pub target: String,
    /// The name that it was found by, as the configuration has it (`srv+_pg._tcp.example`); null where it is listed.
    #[serde(default)]
    pub found_by: Option<String>,
    /// `up`, `slow_start` (its weight is growing), `draining` (somebody drains it, or it says that it drains), `full` (it says that it
    /// takes no more for now), `breaker_open` (it cannot be reached), `ejected` (connections to it went wrong too often), `down` (its
    /// check fails) or `removed` (it is no member any more, and has connections).
    #[serde(default = "up")]
    pub state: String,
    /// Why it is not up; null where it is.
    #[serde(default)]
    pub why: Option<String>,
    /// For how long it has been in that state; null where that is not known.
    #[serde(default)]
    pub since_s: Option<f64>,
    /// Its weight, as it is configured or was set since.
    #[serde(default = "one")]
    pub weight: u32,
    /// What it gets now, in percent of that weight: less in a slow start, or where it asks for less itself.
    #[serde(default = "whole")]
    pub share_percent: u32,
    /// Whether somebody set that weight, or added it, since the configuration was taken.
    #[serde(default)]
    pub by_hand: bool,
    /// Its level: those of a higher number are used where too few of the lower ones may be.
    #[serde(default)]
    pub priority: u8,
    /// Whether it is used only where no other member may be.
    #[serde(default)]
    pub backup: bool,
    /// Its connections: open or being dialled, and the most there may be.
    pub connections: Usage,
    /// `closed` (it is dialled), `open` (it is left alone) or `half_open` (it is being tried).
    pub breaker: String,
    /// Dials that failed in a row.
    pub failures_in_a_row: u32,
    /// Until it is tried again; null where it is dialled.
    pub retry_in_s: Option<f64>,
    /// Checks of its health since the start.
    #[serde(default)]
    pub checked_total: u64,
    /// How many of them failed.
    #[serde(default)]
    pub checks_failed_total: u64,
    /// Dials that succeeded since the start.
    pub dialled_total: u64,
    /// How long half of them took at most, as far as the histogram tells; null if there was none.
    #[serde(default)]
    pub dial_median_s: Option<f64>,
    /// Dials that failed since the start, by why.
    pub failed_total: std::collections::BTreeMap<String, u64>,
    /// Whether it takes no new connections, since somebody drains it.
    pub draining: bool,
    /// What became of its connections since the start: each counts to the target that it reached, or tried last.
    #[serde(default)]
    pub outcomes: Outcomes,
}

fn up() -> String {
    "up".to_owned()
}

const fn one() -> u32 {
    1
}

const fn whole() -> u32 {
    100
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its connections: open, and the most there may be.
    pub connections: Usage,
    /// Connections that wait for a place.
    pub waiting: u64,
    /// Connections that are told in order that there is no place, for a second each at most; they are not among the open ones.
    #[serde(default)]
    pub turned_away: u64,
    /// `normal`, `tight` or `shed`.
    pub level: String,
    /// Which signal it is at that level for; null where it is normal.
    pub signal: Option<String>,
    /// What became of its connections since the start.
    #[serde(default)]
    pub outcomes: Outcomes,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its name: address and port.
    pub name: String,
    /// Its connections: open, and the most there may be.
    pub connections: Usage,
    /// Of its connections in dial, how many wait for a place; they are not among the open ones.
    #[serde(default)]
    pub waiting: u64,
    /// Of its connections in dial, how many are told in order that there is no place (`at_limit = "close"`): a second each at most. They
    /// are not among the open ones.
    #[serde(default)]
    pub turned_away: u64,
    /// Whether it takes no new connections, since somebody drains it.
    pub draining: bool,
    /// What became of its connections since the start.
    #[serde(default)]
    pub outcomes: Outcomes,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// What is limited: `all connections`, `pool NAME`, `route NAME`, `listener NAME`, `target NAME of ROUTE`, `each client …` or
    /// `clients`.
    pub what: String,
    /// In use, and the most there may be.
    pub usage: Usage,
    /// The most that was ever in use; null where it is not counted.
    pub high_water: Option<u64>,
    /// How many wait for a place.
    pub waiting: u64,
    /// Whether nobody more is let in. Whoever comes while `all connections` are full waits in the kernel's backlog, and in no count.
    #[serde(default)]
    pub full: bool,
    /// Where each client has as much of its own: which one has the most in use, and what is in use is that client's. Null otherwise.
    #[serde(default)]
    pub by: Option<String>,
}

/// What to drain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// Of what kind.
    pub kind: DrainKind,
    /// Which; none for everything.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether to take new connections again instead.
    #[serde(default)]
    pub undo: bool,
    /// After so long those that are left are ended; never if not given.
    #[serde(default)]
    pub end_after_s: Option<f64>,
}

/// What can be drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrainKind {
    /// A listener: it accepts no more (its port answers again after an undo).
    Listener,
    /// A route: it takes no new connections.
    Route,
    /// A target of every route that has it: it is not dialled any more.
    Target,
    /// Everything: nothing is accepted any more. The process goes on, until it is stopped.
    Everything,
}

/// A drain under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// Of what kind.
    pub kind: DrainKind,
    /// Which; none for everything.
    pub name: Option<String>,
    /// Since it was asked for.
    pub since_s: f64,
    /// Connections at that time.
    pub began_with: u64,
    /// Connections now.
    pub left: u64,
    /// Until those that are left are ended; 0 while they are being ended, null for never.
    pub ends_in_s: Option<f64>,
    /// The group that it is no member of any more, which is why its connections are to end; null where somebody asked for the drain.
    #[serde(default)]
    pub removed_from: Option<String>,
}
