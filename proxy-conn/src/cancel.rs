//! Ending a connection from outside: one operation, with a reason, and the first reason wins.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::end::Cause;

/// Why a connection is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// The proxy stops, and the time to finish is over.
    Shutdown = 1,
    /// An operator ends it.
    Killed = 2,
    /// Its pool is overloaded, and it is among the least useful connections.
    Overload = 3,
    /// It outlived a deadline, which must never happen: the audit found it.
    Overdue = 4,
    /// What it belongs to is drained or no longer configured, and the time to finish is over.
    Drained = 5,
    /// The member of a group that it is on was found down, and the group is to end such connections.
    MemberDown = 6,
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
            Self::Drained => Cause::Drained,
            Self::MemberDown => Cause::MemberDown,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Shutdown),
            2 => Some(Self::Killed),
            3 => Some(Self::Overload),
            4 => Some(Self::Overdue),
            5 => Some(Self::Drained),
            6 => Some(Self::MemberDown),
            _ => None,
        }
    }
}

/// A cancel that has or has not happened. Who waits for it is known to the entry.
#[derive(Debug, Default)]
pub(crate) struct Cancel(AtomicU8);

impl Cancel {
    /// Cancels; whether this was the first reason.
    pub(crate) fn say(&self, reason: Reason) -> bool {
        self.0.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The reason, once there is one.
    pub(crate) fn reason(&self) -> Option<Reason> {
        Reason::from_code(self.0.load(Ordering::Acquire))
    }
}
