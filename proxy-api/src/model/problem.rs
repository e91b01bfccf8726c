//! Errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An error, as RFC 9457 has it (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What kind, as a path into the documentation, such as `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What exactly, and what to do.
    pub detail: String,
}
