//! The audit: its last result and what it found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The last audit, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditSummary {
    /// Whether everything that must be 0 is 0.
    pub clean: bool,
    /// Since it ended; null if there was none yet.
    pub ago_s: Option<f64>,
    /// The gauges, all of them.
    pub gauges: std::collections::BTreeMap<String, u64>,
    /// Connections that were overdue and were ended, since the start.
    pub rescued_total: u64,
    /// Why the kernel could not be asked; null if it could.
    pub blind: Option<String>,
}

/// An audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Whether everything that must be 0 is 0.
    pub clean: bool,
    /// Entries in the table.
    pub entries: u64,
    /// Sockets of the process; null if the kernel was not asked.
    pub sockets: Option<u64>,
    /// How often it looked.
    pub looks: u8,
    /// How long it took.
    pub took_s: f64,
    /// The gauges, all of them.
    pub gauges: std::collections::BTreeMap<String, u64>,
    /// Overdue connections that it ended.
    pub rescued: u64,
    /// Why the kernel could not be asked; null if it could.
    pub blind: Option<String>,
    /// What it found, at most a hundred of a kind.
    pub findings: Vec<AuditFinding>,
    /// Where connections are stuck, the most first.
    #[serde(default)]
    pub stuck: Vec<StuckAt>,
}

/// The connections of a route to a target that it has never answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StuckAt {
    /// The target.
    pub target: Option<String>,
    /// The route.
    pub route: Option<String>,
    /// How many there are.
    pub connections: u64,
    /// Of these, those on which the client has said nothing either: it waits for a server that is to speak first.
    pub silent: u64,
    /// The age of the oldest.
    pub oldest_s: f64,
    /// Their ids, the oldest first; at most a hundred of all targets together.
    pub ids: Vec<String>,
}

/// One thing that an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditFinding {
    /// Which gauge it counts in.
    pub gauge: String,
    /// The connection it is about; null if none.
    pub id: Option<String>,
    /// What there is to say.
    pub text: String,
}
