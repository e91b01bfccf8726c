//! What the table of clients answers: why one is refused, and who has the most.

use std::time::Duration;

use super::address::AddressKey;

/// Why a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// It has as many connections as it may.
    #[error("the client has {most} connections open, the most it may have")]
    AtOnce {
        /// The most it may have.
        most: u32,
    },
    /// It opens connections too fast.
    #[error(
        "the client opens more than {per_minute} connections a minute; the next may come in {retry_after:?}"
    )]
    Rate {
        /// How many it may open in a minute.
        per_minute: u32,
        /// After how long it would be admitted, if nothing else happens.
        retry_after: Duration,
    },
    /// It is new, and the table is full of clients that have connections open.
    #[error("the table of clients is full")]
    TableFull,
}

/// The clients that use most of what each may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Busiest {
    /// Who has the most connections open, and how many.
    pub open: Option<(AddressKey, u32)>,
    /// Who has opened the most that count for its rate, and how many.
    pub new: Option<(AddressKey, u32)>,
}

/// What the limits of each client have refused since the start, and whom most within the last minute, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Connections of clients that had as many as they may have.
    pub at_once: u64,
    /// Whose most of these were, and how many.
    pub at_once_most: Option<(AddressKey, u64)>,
    /// Connections of clients that opened them too fast.
    pub rate: u64,
    /// Whose most of these were, and how many.
    pub rate_most: Option<(AddressKey, u64)>,
}
