//! What was: series of the process, of each route and of each target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::findings::Subject;

/// What was of one subject, oldest first, in equal steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// What it is of.
    pub subject: Subject,
    /// The end of the last step, in seconds since 1970.
    pub until: f64,
    /// How long a step is: 1, 10 or 300 seconds.
    pub step_s: f64,
    /// The steps. Those in which the proxy did not run are null.
    pub steps: Vec<Option<Step>>,
}

/// One step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Connections that were open at its end.
    pub open: f64,
    /// Connections that were opened, a second.
    pub opened_per_s: f64,
    /// Connections that ended, a second.
    pub ended_per_s: f64,
    /// Of those, how many the backend failed, a second.
    pub failed_per_s: f64,
    /// Of those, how many a limit refused, a second.
    pub refused_per_s: f64,
    /// Bytes from clients, a second.
    pub from_client_bytes_per_s: f64,
    /// Bytes from backends, a second.
    pub from_backend_bytes_per_s: f64,
    /// How long 99 of 100 waited for the backend's first byte at most; null where none came.
    pub first_byte_p99_s: Option<f64>,
}
