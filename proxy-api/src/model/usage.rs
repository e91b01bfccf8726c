//! How many there are: by phase, and of as many as there may be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Connections by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// Reading the PROXY header.
    pub header: u64,
    /// Reading the ClientHello.
    pub peek: u64,
    /// Waiting for a place or for a backend.
    pub dial: u64,
    /// Established.
    pub relay: u64,
    /// One side has ended, the other is still sending.
    pub drain: u64,
}

/// So much of so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// In use.
    pub used: u64,
    /// The most there may be; null for no limit.
    pub most: Option<u64>,
}
