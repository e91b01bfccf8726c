//! The proxy as a whole: its state, what it uses, its version and configuration, the samples of its counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit::AuditSummary;
use super::change::{Reload, Upgrade};
use super::connections::Connection;
use super::findings::Finding;
use super::groups::Group;
use super::log::LogStatus;
use super::phases::Phases;
use super::routes::{Drain, Listener, Pool, Route};
use super::usage::Usage;

/// The proxy as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The name of this hop, as the configuration gives it (`[admin] name`); the host's name if it gives none.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since it was started.
    pub uptime_s: f64,
    /// What it does: `running`, `leaving` (told to stop, and accepting for `shutdown_delay`), `draining` (finishing before it stops) or `handing_over` (another process takes over).
    pub state: String,
    /// Whether it takes new connections: all is well with it.
    pub ready: bool,
    /// Threads that serve connections.
    pub workers: u32,
    /// Connections that are open.
    pub connections: u64,
    /// The most that may be.
    pub max_connections: u64,
    /// Whether all places are taken: nothing is accepted until a sixteenth is free again, and newcomers wait in the kernel's backlog.
    #[serde(default)]
    pub full: bool,
    /// Connections that were opened since the start.
    pub opened_total: u64,
    /// Connections that have ended since the start, by cause; causes of which there was none are left out.
    pub ended_total: std::collections::BTreeMap<String, u64>,
    /// Connections that are open, by phase; every phase.
    pub phases: Phases,
    /// The pools.
    pub pools: Vec<Pool>,
    /// The listeners.
    pub listeners: Vec<Listener>,
    /// Descriptors in use, and the most there may be.
    pub descriptors: Usage,
    /// Memory.
    pub memory: Memory,
    /// The last audit.
    pub audit: AuditSummary,
    /// The configuration in force, and how the last reload went.
    pub config: ConfigStatus,
    /// What is being drained, and how far it is.
    pub drains: Vec<Drain>,
    /// How the last upgrade went; null if there was none.
    pub last_upgrade: Option<Upgrade>,
    /// The log.
    pub log: LogStatus,
}

/// Memory of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Resident.
    pub resident_bytes: u64,
    /// Allocated and in use, as the allocator counts.
    pub allocated_bytes: u64,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigStatus {
    /// Where it came from: a path, or `embedded`.
    pub origin: String,
    /// 1 for the one it started with, and one more with each reload that was taken.
    pub generation: u64,
    /// When it was taken, in seconds since 1970.
    pub loaded_at: f64,
    /// How the last reload went; null if there was none.
    pub last_reload: Option<Reload>,
}

/// The build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// The version.
    pub version: String,
    /// `debug` or `release`.
    pub profile: String,
    /// What it was built for, such as `x86_64-linux`.
    pub target: String,
}

/// The configuration in force, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigText {
    /// Where it came from, and how the last reload went.
    pub status: ConfigStatus,
    /// Its text.
    pub text: String,
}

/// What live views are told once a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// When, in seconds since 1970.
    pub at: f64,
    /// What is wrong, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The proxy as a whole.
    pub status: Status,
    /// The routes.
    pub routes: Vec<Route>,
    /// The groups that have a name, with their members.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// How old the open connections are: how many are at most so old. The last bound is null: any age.
    pub ages: Vec<AgeBucket>,
    /// The twenty oldest connections.
    pub oldest: Vec<Connection>,
}

/// How many connections are at most so old.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgeBucket {
    /// The oldest that is counted here; null for any age.
    pub at_most_s: Option<f64>,
    /// How many are in this bucket and in no smaller one.
    pub connections: u64,
}
