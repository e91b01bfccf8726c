//! What became of the connections of one subject: a route, a target, a listener, a pool.

use crate::end::Cause;

/// What was counted of one subject since the start. Counters only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections that it was given: accepted by a listener, taken by a route, dialled to a target.
    pub opened: u64,
    /// Connections that have ended, by cause, in the order of [`Cause::ALL`].
    pub ended: [u64; Cause::ALL.len()],
    /// Of those, how many the backend failed: it refused, reset, was silent beyond a deadline or could not be reached.
    pub failed: u64,
    /// Bytes read from clients.
    pub from_client: u64,
    /// Bytes read from backends.
    pub from_backend: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self { opened: 0, ended: [0; Cause::ALL.len()], failed: 0, from_client: 0, from_backend: 0 }
    }
}

impl Totals {
    /// How many have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// How many have ended of `cause`.
    #[must_use]
    pub fn ended_of(&self, cause: Cause) -> u64 {
        self.ended.get(cause.index()).copied().unwrap_or(0)
    }

    /// How many were refused by a limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        Cause::ALL.iter().filter(|cause| cause.is_refusal()).map(|cause| self.ended_of(*cause)).sum()
    }
}
