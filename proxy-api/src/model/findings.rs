//! What is wrong now, as every view shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is wrong, with what, since when, why, and what to type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What identifies it for as long as it lasts: the rule and the subject, such as `failing/route/api`.
    pub id: String,
    /// The rule, such as `failing`: the label of the metric `smartproxy_findings`; docs/operations.md has a sentence for each.
    pub rule: String,
    /// `critical` (clients are harmed now), `warning` or `info`.
    pub severity: String,
    /// What it is about.
    pub subject: Subject,
    /// When it began, in seconds since 1970.
    pub since: f64,
    /// For how long it has been so.
    pub since_s: f64,
    /// The figures that it is judged by, by name.
    pub figures: std::collections::BTreeMap<String, f64>,
    /// What is so, in a sentence.
    pub sentence: String,
    /// The command that shows more.
    pub shows: String,
    /// The command that mends it, or what to do where no command does.
    pub mends: String,
}

/// What a finding or a series is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// `process`, `route`, `target`, `listener`, `pool`, `limit`, `hop` or `worker`.
    pub kind: String,
    /// Its name; empty for the process.
    #[serde(default)]
    pub name: String,
    /// For a target: its route, or `@` and its group. Null otherwise.
    #[serde(default)]
    pub of: Option<String>,
}
