//! How many there are, of as many as there may be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// So much of so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// In use.
    pub used: u64,
    /// The most there may be; null for no limit.
    pub most: Option<u64>,
}
