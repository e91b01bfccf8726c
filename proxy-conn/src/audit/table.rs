//! What the tracker and the caller say: the entries as the audit sees them, and the counts that should agree with them.

use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use proxy_core::PeerAddr;
use tokio::time::Instant;

use super::kernel::OwnSocket;
use crate::end::Cause;
use crate::entry::{DeadlineKind, Talk};
use crate::id::ConnId;
use crate::opening::Role;
use crate::phase::Phase;
use crate::pool_id::PoolId;
use crate::tracker::Tracker;

/// An entry's claim to a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The descriptor.
    pub fd: RawFd,
    /// For how long it has been held. Of two entries that claim the same descriptor, the one that has it longer has lost
    /// it: the number was given anew when its socket was closed.
    pub held_for: Duration,
}

/// One entry, as the audit sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableEntry {
    /// Its id.
    pub id: ConnId,
    /// The peer of the accepted socket.
    pub peer: PeerAddr,
    /// What it is.
    pub role: Role,
    /// Its pool, once it is known.
    pub pool: Option<PoolId>,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since it was accepted.
    pub age: Duration,
    /// Since it entered its phase.
    pub in_phase: Duration,
    /// Since bytes last moved.
    pub idle: Duration,
    /// Which side has sent something, in which order.
    pub talk: Talk,
    /// When its nearest deadline is, and which; None while it has none.
    pub deadline: Option<(Instant, DeadlineKind)>,
    /// The accepted socket.
    pub client: Option<Claim>,
    /// The dialled socket.
    pub backend: Option<Claim>,
}

/// The entries as they were at one time.
#[derive(Debug, Clone)]
pub struct Table {
    /// When they were read.
    pub at: Instant,
    /// From when on what they are compared with was read.
    pub since: Instant,
    /// Connections opened plus connections ended, ever, when `since` was taken.
    pub moved_before: u64,
    /// The same after the reading.
    pub moved: u64,
    /// The entries.
    pub entries: Vec<TableEntry>,
}

impl Table {
    /// Reads what should agree with the entries (`expect`), then the entries.
    pub fn read<E>(tracker: &Tracker, expect: impl FnOnce() -> E) -> (Self, E) {
        let (since, moved_before) = (Instant::now(), moved(tracker));
        let expected = expect();
        let mut listed = tracker.connections();
        listed.extend(tracker.checks());
        let at = Instant::now();
        let entries = listed.iter().map(|entry| entry.audited(at)).collect();
        (Self { at, since, moved_before, moved: moved(tracker), entries }, expected)
    }
}

fn moved(tracker: &Tracker) -> u64 {
    let checks: u64 = Cause::ALL.iter().map(|cause| tracker.checked(*cause).1).sum();
    let ended: u64 = Cause::ALL.iter().map(|cause| tracker.ended(*cause)).sum();
    tracker.opened() + tracker.checked(Cause::Finished).0 + checks + ended
}

/// Which entries hold a permit of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders {
    /// Connections that have reached this phase.
    pub from: Phase,
    /// Of these, those of this pool; None for those of all.
    pub pool: Option<PoolId>,
    /// Whether each of them holds one. Otherwise some do (others are exempt, or still wait for one): there may then be
    /// fewer permits than entries, never more.
    pub each: bool,
}

impl Holders {
    pub(super) fn include(&self, entry: &TableEntry) -> bool {
        let is_connection = entry.role != Role::Check;
        is_connection && entry.phase >= self.from && (self.pool.is_none() || self.pool == entry.pool)
    }
}

/// The permits of a limit (or of several limits of a kind, together) that are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitsInUse {
    /// The limit's name.
    pub limit: Arc<str>,
    /// Permits that are out.
    pub in_use: usize,
    /// Which connections should hold them.
    pub holders: Holders,
}

/// What the caller knows besides the entries. Read at each look, just before the entries.
#[derive(Clone)]
pub struct Expectations {
    /// Live connection tasks (one an entry, without accept loops and health checks); None where they are not counted.
    pub tasks: Option<usize>,
    /// Limits and their use.
    pub permits: Vec<PermitsInUse>,
    /// Threads that serve connections: so many connections at most are at any instant between two steps that belong
    /// together, such as giving back a permit and leaving the table.
    pub workers: usize,
    /// Whether a socket is rightly open without an entry: an admin connection, a health check. Listening sockets need not
    /// be told.
    pub known: Arc<dyn Fn(&OwnSocket) -> bool + Send + Sync>,
}

impl Default for Expectations {
    /// Nothing is known besides: no counts, no sockets without an entry.
    fn default() -> Self {
        Self { tasks: None, permits: Vec::new(), workers: 1, known: Arc::new(|_| false) }
    }
}

impl fmt::Debug for Expectations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, permits, workers, known: _ } = self;
        f.debug_struct("Expectations")
            .field("tasks", tasks)
            .field("permits", permits)
            .field("workers", workers)
            .finish_non_exhaustive()
    }
}
