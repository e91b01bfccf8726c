//! Ending a connection from outside: one operation, with a reason, and the first reason wins.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use crate::end::Cause;

/// Why a connection is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// The proxy stops, and the time to finish is over.
    Shutdown = 1,
    /// An operator wants it ended.
    Killed = 2,
    /// Its pool is overloaded, and it is of least use to anybody.
    Overload = 3,
    /// It outlived a deadline, which must never happen: the audit found it.
    Overdue = 4,
}

impl Reason {
    /// The cause that the connection's end will have.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::Shutdown => Cause::Shutdown,
            Self::Killed => Cause::Killed,
            Self::Overload => Cause::Overload,
            Self::Overdue => Cause::Overdue,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Shutdown),
            2 => Some(Self::Killed),
            3 => Some(Self::Overload),
            4 => Some(Self::Overdue),
            _ => None,
        }
    }
}

/// A cancel that has or has not happened.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    reason: AtomicU8,
    notify: Notify,
}

impl Cancel {
    /// Cancels; whether this was the first reason.
    pub(crate) fn cancel(&self, reason: Reason) -> bool {
        let first =
            self.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            // The permit is stored if nobody waits yet. There is one waiter: the connection's own task.
            self.notify.notify_one();
        }
        first
    }

    /// Resolves when cancelled. Cancel-safe.
    pub(crate) async fn cancelled(&self) -> Reason {
        loop {
            if let Some(reason) = Reason::from_code(self.reason.load(Ordering::Acquire)) {
                return reason;
            }
            self.notify.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_wins_whenever_it_is_waited_for() {
        let cancel = Cancel::default();
        let mut early = tokio_test::task::spawn(cancel.cancelled());
        tokio_test::assert_pending!(early.poll());
        assert!(cancel.cancel(Reason::Killed));
        assert!(!cancel.cancel(Reason::Shutdown));
        assert!(early.is_woken());
        assert_eq!(tokio_test::assert_ready!(early.poll()), Reason::Killed);
        assert_eq!(cancel.cancelled().await, Reason::Killed);
    }
}
