//! What was counted of one subject.

use crate::end::Cause;

/// What was counted of one subject since the start. Counters only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections that it was given: accepted by a listener, taken by a route, dialled to a target.
    pub opened: u64,
    /// Connections that have ended, by cause, in the order of [`Cause::ALL`].
    pub ended: [u64; Cause::ALL.len()],
    /// Of a target: connections that went on to another one before they had a backend.
    pub passed_on: u64,
    /// Of those that have ended or gone on, how many the backend failed: it refused, reset, was silent beyond a deadline or could
    /// not be reached.
    pub failed: u64,
    /// Of those that have ended, how many had no answer: the client had said something, and the backend never did after it. That is
    /// usual for protocols that go one way.
    pub unanswered: u64,
    /// Bytes read from clients: all of those that have ended, and of those that are open what had come by the last walk.
    pub from_client: u64,
    /// Bytes read from backends, in the same way.
    pub from_backend: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            opened: 0,
            ended: [0; Cause::ALL.len()],
            passed_on: 0,
            failed: 0,
            unanswered: 0,
            from_client: 0,
            from_backend: 0,
        }
    }
}

impl Totals {
    /// How many have ended here: by any cause, or by going on to another target.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.iter().sum::<u64>() + self.passed_on
    }

    /// How many are open: those that it was given and that have not ended here.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.opened.saturating_sub(self.ended())
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

    /// Each cause of which there was any, with how many.
    pub fn causes(&self) -> impl Iterator<Item = (Cause, u64)> {
        let all = Cause::ALL.iter().copied().zip(self.ended);
        all.filter(|(_, count)| *count > 0)
    }
}
