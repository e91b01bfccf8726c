//! What the kernel says of some connections of a route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the kernel said of some connections of a route that have a backend, within the last minute: of all of a few, of 32 at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampledSockets {
    /// How many answers there are: a connection that was asked for twice has two.
    pub sampled: u64,
    /// The sockets of clients.
    pub client: SampledSide,
    /// The sockets of backends.
    pub backend: SampledSide,
}

/// One side of those that were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampledSide {
    /// The round-trip time that half of them stay below; null where none was a TCP socket.
    pub rtt_median_s: Option<f64>,
    /// The longest round-trip time.
    pub rtt_longest_s: Option<f64>,
    /// How many have ever sent a segment again.
    pub retransmitting: u64,
    /// Bytes that were written and not sent yet, of all of them together.
    pub unsent_bytes: u64,
    /// Bytes that were received and not read yet, of all of them together.
    pub unread_bytes: u64,
}
