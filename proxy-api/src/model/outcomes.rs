//! What became of connections, by route, target, listener and pool.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of the connections of a route, target, listener or pool since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcomes {
    /// Connections that it was given.
    pub opened_total: u64,
    /// Connections that have ended, by cause; causes of which there was none are left out.
    pub ended_total: std::collections::BTreeMap<String, u64>,
    /// Of a target: connections that went on to another one before they had a backend.
    #[serde(default)]
    pub passed_on_total: u64,
    /// Of those that have ended or gone on, how many the backend failed: it refused, reset, was silent beyond a deadline or could not be
    /// reached.
    pub failed_total: u64,
    /// Of those that have ended, how many had no answer: the client had said something, and the backend never did after it. That is
    /// usual for protocols that go one way.
    #[serde(default)]
    pub unanswered_total: u64,
    /// Of those that have ended, how many a limit refused.
    pub refused_total: u64,
    /// Bytes read from clients, of those that are open too, as of a moment ago.
    pub from_client_bytes_total: u64,
    /// Bytes read from backends, of those that are open too, as of a moment ago.
    pub from_backend_bytes_total: u64,
    /// How long half of the dials took at most, waits for a place left out, as far as the histogram tells; null if there was none.
    pub dial_median_s: Option<f64>,
    /// How long 99 of 100 of those that have ended waited for the backend's first byte at most: from the client's first words on, or
    /// from when they had the backend, if that spoke first. Null if none came.
    pub first_byte_p99_s: Option<f64>,
    /// How long half of those that have ended were open at most; null if none has ended.
    pub lifetime_median_s: Option<f64>,
    /// What it was within the last minute; null before the proxy is a minute old.
    #[serde(default)]
    pub minute: Option<Minute>,
}

/// The last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Minute {
    /// Connections that it was given.
    pub opened: u64,
    /// Connections that have ended.
    pub ended: u64,
    /// Of those, how many the backend failed.
    pub failed: u64,
    /// Of those, how many a limit refused.
    pub refused: u64,
    /// By how many more are open than a minute ago; below zero if fewer.
    pub grown: i64,
    /// Bytes a second from clients.
    pub from_client_bytes_per_s: f64,
    /// Bytes a second from backends.
    pub from_backend_bytes_per_s: f64,
}
