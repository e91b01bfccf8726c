//! Changes: reloads, upgrades, and what a configuration would change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a text is called in errors that is compared and comes from no file.
pub const NEW_CONFIGURATION: &str = "the new configuration";

/// How a reload went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reload {
    /// Whether the new configuration is in force. If not, nothing has changed.
    pub taken: bool,
    /// When, in seconds since 1970.
    pub at: f64,
    /// The generation in force after it.
    pub generation: u64,
    /// What changed, a line each; empty if nothing did.
    pub changes: Vec<Change>,
    /// Why it was not taken, with places in the file; null if it was.
    pub error: Option<String>,
    /// What may not mean what its author thinks, and what takes effect only at the next start.
    pub warnings: Vec<String>,
}

/// How an upgrade went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upgrade {
    /// Whether a new process serves. If not, nothing has changed.
    pub taken: bool,
    /// When, in seconds since 1970.
    pub at: f64,
    /// The new process; null if there is none.
    pub pid: Option<u32>,
    /// Why there is none; null if there is one.
    pub error: Option<String>,
}

/// One thing that a configuration changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// `added`, `removed` or `changed`.
    pub kind: ChangeKind,
    /// What, such as `route api`, `listener *:443`, `pool chain` or `limits.max_connections`.
    pub what: String,
    /// What it was; null if it was not there.
    pub from: Option<String>,
    /// What it is; null if it is no more.
    pub to: Option<String>,
    /// How many open connections it touches (those of a removed route or listener go on as they began).
    pub connections: u64,
}

/// How something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is no more.
    Removed,
    /// It is otherwise.
    Changed,
}

/// What a configuration would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// What would change.
    pub changes: Vec<Change>,
    /// What may not mean what its author thinks, and what would take effect only at the next start.
    pub warnings: Vec<String>,
}
