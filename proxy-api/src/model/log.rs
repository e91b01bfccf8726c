//! The log: what is written, and what it is set to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStatus {
    /// The least serious events that are logged: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Lines that were lost since whoever reads them is too slow.
    pub lost_total: u64,
}

/// A log level to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}
