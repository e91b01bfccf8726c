//! The comparison itself: pure, of one look. What it finds is suspected, not proved; see [`looks`](super::looks).

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::AuditOptions;
use super::kernel::{Kernel, OwnSocket, TcpState};
use super::table::{Claim, Expectations, PermitsInUse, Table, TableEntry};
use crate::entry::{DeadlineKind, Talk};
use crate::opening::Role;
use crate::phase::Phase;
use proxy_core::relay::RelayDeadline;

/// How long after its deadline a relay may rightly still be there, besides the tick: what it looks at is a clock that is
/// read between waits of at most 20 ms, and it bears 400 ms without progress (`proxy_core::relay`, `settle.rs`).
const SETTLE: Duration = Duration::from_millis(500);

/// What became of one side of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// The entry claims no descriptor.
    None,
    /// It has the socket that it claims.
    Alive(RawFd),
    /// The descriptor is not open, or is no socket.
    NotOpen(RawFd),
    /// The socket is there, and its connection is over: it was reset, or both sides have ended.
    Closed(RawFd),
    /// The descriptor is another socket's by now.
    Reused(RawFd),
}

impl Holding {
    const fn is_gone(self) -> bool {
        matches!(self, Self::NotOpen(_) | Self::Closed(_) | Self::Reused(_))
    }

    const fn is_alive(self) -> bool {
        matches!(self, Self::Alive(_))
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Alive(fd) => write!(f, "descriptor {fd}, open"),
            Self::NotOpen(fd) => write!(f, "descriptor {fd}, not open"),
            Self::Closed(fd) => write!(f, "descriptor {fd}, closed by the kernel"),
            Self::Reused(fd) => write!(f, "descriptor {fd}, another socket's by now"),
        }
    }
}

/// An entry that is suspected, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// The entry.
    pub conn: TableEntry,
    /// Its accepted socket.
    pub client: Holding,
    /// Its dialled socket.
    pub backend: Holding,
}

impl Suspect {
    /// How long ago its deadline was; zero while it is to come, and its age if it has told none.
    pub(super) fn late(&self, at: Instant) -> Duration {
        self.conn.deadline.map_or(self.conn.age, |(deadline, _)| at.saturating_duration_since(deadline))
    }
}

/// A count that should equal another: by how much it is more (or, negative, less).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What is counted.
    pub what: Arc<str>,
    /// The count.
    pub count: usize,
    /// What it should be.
    pub should: usize,
}

impl Difference {
    /// The count less what it should be.
    #[must_use]
    pub fn excess(&self) -> i64 {
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        signed(self.count) - signed(self.should)
    }
}

/// What one look found odd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Sockets of connections that no entry claims.
    pub orphans: Vec<OwnSocket>,
    /// Entries whose sockets are all gone.
    pub zombies: Vec<Suspect>,
    /// Entries of which one socket of two is gone.
    pub half_zombies: Vec<Suspect>,
    /// Entries whose backend has never answered.
    pub stuck: Vec<Suspect>,
    /// Entries past their deadline.
    pub overdue: Vec<Suspect>,
    /// Tasks, against entries.
    pub tasks: Option<Difference>,
    /// Permits, against the entries that should hold one.
    pub permits: Vec<Difference>,
    /// Connections opened plus ended, ever, as of this look.
    pub moved: u64,
    /// How many connections may be between two steps at any instant.
    pub workers: usize,
}

impl Suspects {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.stuck.is_empty() && !self.any_passing()
    }

    /// Whether something is reported that a worker may not have reached yet: everything but what has a bound of its own.
    #[must_use]
    pub const fn any_passing(&self) -> bool {
        !(self.orphans.is_empty()
            && self.overdue.is_empty()
            && self.zombies.is_empty()
            && self.half_zombies.is_empty()
            && self.tasks.is_none()
            && self.permits.is_empty())
    }
}

/// Compares what the tracker says with what the kernel (None where it cannot be asked) and the caller say.
#[must_use]
pub fn compare(
    table: &Table,
    kernel: Option<&Kernel>,
    expected: &Expectations,
    options: &AuditOptions,
) -> Suspects {
    let mut suspects = Suspects {
        tasks: tasks(table, expected),
        permits: permits(table, expected),
        moved: table.moved,
        workers: expected.workers,
        ..Suspects::default()
    };
    let owners = kernel.map(|kernel| Owners::of(kernel, &table.entries));
    if let Some(owners) = &owners {
        suspects.orphans = owners.orphans(&*expected.known).collect();
    }
    for (nth, conn) in table.entries.iter().enumerate() {
        let holds =
            |claim, side| owners.as_ref().map_or(Holding::None, |owners| owners.holding(claim, nth, side));
        let (client, backend) = (holds(conn.client, CLIENT), holds(conn.backend, BACKEND));
        let suspect = Suspect { conn: *conn, client, backend };
        if owners.is_some() {
            suspects.zombies.extend(is_zombie(&suspect, options).then_some(suspect));
            suspects.half_zombies.extend(is_half_zombie(&suspect, options).then_some(suspect));
        }
        suspects.stuck.extend(is_stuck(conn, options).then_some(suspect));
        suspects.overdue.extend(is_overdue(conn, table.at, options).then_some(suspect));
    }
    suspects
}

/// Nothing that it claims is there, or it claims nothing: beyond the grace every connection has a socket, but for a flow that the
/// kernel forwards, and a check that still dials.
fn is_zombie(suspect: &Suspect, options: &AuditOptions) -> bool {
    let dials = suspect.conn.role == Role::Check && suspect.conn.phase < Phase::Relay;
    if suspect.conn.role == Role::KernelFlow || dials {
        return false;
    }
    let alive = suspect.client.is_alive() || suspect.backend.is_alive();
    suspect.conn.age >= options.grace.get() && !alive
}

/// One side is gone while both should be there. Once a side has ended, the other may rightly outlive it: what was read
/// before is still being delivered, under a deadline ([`RelayDeadline::HalfClosed`]) that is watched like any other.
fn is_half_zombie(suspect: &Suspect, options: &AuditOptions) -> bool {
    let Suspect { conn, client, backend } = suspect;
    let one = (client.is_gone() && backend.is_alive()) || (client.is_alive() && backend.is_gone());
    let half_closed = DeadlineKind::Relay(RelayDeadline::HalfClosed);
    let delivering = conn.phase == Phase::Drain || conn.deadline.is_some_and(|(_, kind)| kind == half_closed);
    conn.age >= options.grace.get() && one && !delivering
}

/// It is the backend's turn, and was from the start: a client that has only been greeted may take its time. Only one with a
/// client waits for anything.
fn is_stuck(conn: &TableEntry, options: &AuditOptions) -> bool {
    if conn.role != Role::Accepted {
        return false;
    }
    let waits_for_backend = matches!(conn.talk, Talk::Silent | Talk::Unanswered);
    conn.phase >= Phase::Relay && waits_for_backend && conn.age >= options.stuck_after.get()
}

/// An entry that has told no deadline (its task has not run yet) has the grace to do so.
fn is_overdue(conn: &TableEntry, at: Instant, options: &AuditOptions) -> bool {
    let late = match conn.deadline {
        Some((deadline, _)) => at.saturating_duration_since(deadline),
        None => conn.age.saturating_sub(options.grace.get()),
    };
    late > options.overdue_tick.get() + SETTLE
}

/// While it looked, every connection that was opened or ended may have been counted on one side only.
fn tasks(table: &Table, expected: &Expectations) -> Option<Difference> {
    let count = expected.tasks?;
    let should = table.entries.iter().filter(|entry| entry.role != Role::Check).count();
    let difference = Difference { what: "tasks".into(), count, should };
    (difference.excess().unsigned_abs() > moved_meanwhile(table)).then_some(difference)
}

const fn moved_meanwhile(table: &Table) -> u64 {
    table.moved.saturating_sub(table.moved_before)
}

/// The same, and every one that may have come to the phase of those who hold a permit.
fn permits(table: &Table, expected: &Expectations) -> Vec<Difference> {
    expected.permits.iter().filter_map(|permits| difference(table, permits)).collect()
}

fn difference(table: &Table, permits: &PermitsInUse) -> Option<Difference> {
    let looked = table.at.saturating_duration_since(table.since);
    let (mut should, mut slack) = (0, moved_meanwhile(table));
    for entry in table.entries.iter().filter(|entry| permits.holders.include(entry)) {
        should += 1;
        slack += u64::from(entry.in_phase <= looked);
    }
    let difference = Difference { what: Arc::clone(&permits.limit), count: permits.in_use, should };
    let excess = difference.excess();
    ((permits.holders.each || excess > 0) && excess.unsigned_abs() > slack).then_some(difference)
}

/// A side of an entry, as claims tell them apart.
type ClaimSide = u8;
const CLIENT: ClaimSide = 0;
const BACKEND: ClaimSide = 1;

/// Whose claim to a socket holds, for each of the kernel's sockets.
struct Owners<'k> {
    kernel: &'k Kernel,
    /// Parallel to the kernel's sockets.
    owners: Vec<Option<Owner>>,
}

#[derive(Clone, Copy)]
struct Owner {
    held_for: Duration,
    /// The entry's place and its side.
    by: (usize, ClaimSide),
}

impl<'k> Owners<'k> {
    fn of(kernel: &'k Kernel, entries: &[TableEntry]) -> Self {
        let mut this = Self { kernel, owners: vec![None; kernel.sockets().len()] };
        for (nth, conn) in entries.iter().enumerate() {
            this.claim(conn.client, (nth, CLIENT), Some(conn.peer.socket_addr()));
            this.claim(conn.backend, (nth, BACKEND), None);
        }
        this
    }

    /// The youngest claim holds; of equally old ones the later, which is the entry opened later. A socket whose peer is
    /// not the claim's is another's.
    fn claim(&mut self, claim: Option<Claim>, by: (usize, ClaimSide), peer: Option<SocketAddr>) {
        let Some(Claim { fd, held_for }) = claim else { return };
        let Some(at) = self.kernel.position(fd) else { return };
        let socket = self.kernel.sockets().get(at);
        let remote = socket.and_then(|socket| socket.addresses).map(|(_, remote)| remote);
        let is_anothers = remote.zip(peer).is_some_and(|(remote, peer)| !is_same(remote, peer));
        if let (Some(owner), false) = (self.owners.get_mut(at), is_anothers)
            && owner.is_none_or(|other| held_for <= other.held_for)
        {
            *owner = Some(Owner { held_for, by });
        }
    }

    fn holding(&self, claim: Option<Claim>, nth: usize, side: ClaimSide) -> Holding {
        let Some(Claim { fd, .. }) = claim else { return Holding::None };
        let Some(at) = self.kernel.position(fd) else { return Holding::NotOpen(fd) };
        let owner = self.owners.get(at).copied().flatten();
        if owner.is_none_or(|owner| owner.by != (nth, side)) {
            return Holding::Reused(fd);
        }
        match self.kernel.sockets().get(at).and_then(|socket| socket.tcp) {
            Some(TcpState::Closed) => Holding::Closed(fd),
            _ => Holding::Alive(fd),
        }
    }

    fn orphans(&self, known: &dyn Fn(&OwnSocket) -> bool) -> impl Iterator<Item = OwnSocket> {
        let sockets = self.kernel.sockets().iter().zip(&self.owners);
        let unclaimed = sockets.filter(|(_, owner)| owner.is_none()).map(|(socket, _)| socket);
        let of_connections = unclaimed.filter(|socket| socket.tcp.is_some_and(TcpState::is_of_connection));
        of_connections.filter(|socket| !known(socket)).copied()
    }
}

/// An IPv4 address is the same written as an IPv6 one; scopes and flows are not in the kernel's tables.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    (a.ip().to_canonical(), a.port()) == (b.ip().to_canonical(), b.port())
}

#[cfg(test)]
mod tests;
