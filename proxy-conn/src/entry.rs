//! What the tracker knows of one connection.
//!
//! The connection's own task writes, others read through relaxed atomics: no lock is on the byte path. What is learnt
//! once (client, route, target) is behind a lock that is taken once for each and by a snapshot.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::relay::{RelayDeadline, Side};
use proxy_core::{ClientAddr, PeerAddr};
use tokio::time::Instant;

use crate::audit::{Claim, TableEntry};
use crate::cancel::Cancel;
use crate::end::{Cause, End};
use crate::id::{ConnId, Trail};
use crate::phase::Phase;

/// What is learnt of a connection as it goes.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Who it is from, once the header phase is over.
    pub client: Option<ClientAddr>,
    /// Its ids on the hops before.
    pub previous: Trail,
    /// The server name in its ClientHello.
    pub server_name: Option<Box<str>>,
    /// The route it took.
    pub route: Option<Arc<str>>,
    /// The target it reached, or was last trying to reach.
    pub target: Option<Arc<str>>,
}

/// Which deadline is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadlineKind {
    /// `proxy_header_timeout`.
    Header,
    /// `initial_data_timeout`.
    Hello,
    /// The longest wait for a place, where a limit queues.
    Queue,
    /// `connection_timeout`.
    Dial,
    /// One of the relay's.
    Relay(RelayDeadline),
}

impl std::fmt::Display for DeadlineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::Hello => f.write_str("hello"),
            Self::Queue => f.write_str("queue"),
            Self::Dial => f.write_str("dial"),
            Self::Relay(which) => which.fmt(f),
        }
    }
}

/// The kinds in the order of their codes.
const KINDS: [DeadlineKind; 9] = [
    DeadlineKind::Header,
    DeadlineKind::Hello,
    DeadlineKind::Queue,
    DeadlineKind::Dial,
    DeadlineKind::Relay(RelayDeadline::Idle),
    DeadlineKind::Relay(RelayDeadline::HalfClosed),
    DeadlineKind::Relay(RelayDeadline::WriteStall),
    DeadlineKind::Relay(RelayDeadline::NoData),
    DeadlineKind::Relay(RelayDeadline::Lifetime),
];

/// The number that stands for no pool.
pub(crate) const NO_POOL: u8 = u8::MAX;

/// One connection, as the tracker has it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ConnId,
    pub(crate) peer: PeerAddr,
    pub(crate) listener: Arc<str>,
    pub(crate) opened: Instant,
    phase: AtomicU8,
    /// Microseconds after `opened`, here and below.
    phase_entered: AtomicU64,
    /// Time spent in each phase that was left.
    spent: [AtomicU64; Phase::ALL.len()],
    last_activity: AtomicU64,
    from_client: AtomicU64,
    from_backend: AtomicU64,
    deadline_at: AtomicU64,
    deadline_kind: AtomicU8,
    /// The number of its pool; [`NO_POOL`] until it is known.
    pool: AtomicU8,
    /// Whether it may be silent for ever.
    immortal: AtomicBool,
    /// The descriptors it holds, -1 for none: client's, backend's.
    descriptors: [AtomicI32; 2],
    pub(crate) facts: Mutex<Facts>,
    pub(crate) cancel: Cancel,
}

impl Entry {
    pub(crate) fn new(id: ConnId, peer: PeerAddr, listener: Arc<str>, now: Instant) -> Self {
        Self {
            id,
            peer,
            listener,
            opened: now,
            phase: AtomicU8::new(Phase::Header as u8),
            phase_entered: AtomicU64::new(0),
            spent: Default::default(),
            last_activity: AtomicU64::new(0),
            from_client: AtomicU64::new(0),
            from_backend: AtomicU64::new(0),
            deadline_at: AtomicU64::new(0),
            deadline_kind: AtomicU8::new(0),
            pool: AtomicU8::new(NO_POOL),
            immortal: AtomicBool::new(false),
            descriptors: [AtomicI32::new(-1), AtomicI32::new(-1)],
            facts: Mutex::default(),
            cancel: Cancel::default(),
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.opened).as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from_index(self.phase.load(Ordering::Relaxed))
    }

    /// Goes to `next`. Only the connection's own task calls this.
    pub(crate) fn enter(&self, next: Phase, now: Instant) -> Result<(), End> {
        let phase = self.phase();
        if !phase.may_enter(next) {
            return Err(Cause::IllegalTransition.during(phase));
        }
        self.leave(phase, now);
        self.phase.store(next as u8, Ordering::Relaxed);
        Ok(())
    }

    /// Books the time in the phase that is being left.
    pub(crate) fn leave(&self, phase: Phase, now: Instant) {
        let (entered, now) = (self.phase_entered.load(Ordering::Relaxed), self.micros(now));
        if let Some(spent) = self.spent.get(phase.index()) {
            spent.store(now.saturating_sub(entered), Ordering::Relaxed);
        }
        self.phase_entered.store(now, Ordering::Relaxed);
    }

    pub(crate) fn spent(&self, phase: Phase) -> Duration {
        self.spent
            .get(phase.index())
            .map_or(Duration::ZERO, |us| Duration::from_micros(us.load(Ordering::Relaxed)))
    }

    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.from_client.load(Ordering::Relaxed), self.from_backend.load(Ordering::Relaxed))
    }

    pub(crate) fn set_deadline(&self, at: Instant, kind: DeadlineKind) {
        let code = KINDS.iter().position(|k| *k == kind).and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        self.deadline_at.store(self.micros(at), Ordering::Relaxed);
        self.deadline_kind.store(code, Ordering::Relaxed);
    }

    pub(crate) fn moved(&self, from: Side, bytes: u64, now: Instant) {
        let counter = match from {
            Side::Client => &self.from_client,
            Side::Backend => &self.from_backend,
        };
        // Only this connection's task writes: a plain add, readable by others.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
        self.last_activity.store(self.micros(now), Ordering::Relaxed);
    }

    pub(crate) fn join(&self, pool: u8, immortal: bool) {
        self.pool.store(pool, Ordering::Relaxed);
        self.immortal.store(immortal, Ordering::Relaxed);
    }

    pub(crate) fn is_immortal(&self) -> bool {
        self.immortal.load(Ordering::Relaxed)
    }

    pub(crate) fn pool(&self) -> Option<u8> {
        Some(self.pool.load(Ordering::Relaxed)).filter(|pool| *pool != NO_POOL)
    }

    /// Since it entered its phase.
    pub(crate) fn in_phase(&self, now: Instant) -> Duration {
        self.since(&self.phase_entered, now)
    }

    /// Since bytes last moved.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        self.since(&self.last_activity, now)
    }

    fn since(&self, mark: &AtomicU64, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.opened);
        age.saturating_sub(Duration::from_micros(mark.load(Ordering::Relaxed)))
    }

    pub(crate) fn hold(&self, side: Side, descriptor: Option<RawFd>) {
        let [client, backend] = &self.descriptors;
        let held = match side {
            Side::Client => client,
            Side::Backend => backend,
        };
        held.store(descriptor.unwrap_or(-1), Ordering::Relaxed);
    }

    /// What the audit compares: no lock, no allocation.
    pub(crate) fn audited(&self, now: Instant) -> TableEntry {
        let age = now.saturating_duration_since(self.opened);
        let (phase, (from_client, from_backend)) = (self.phase(), self.bytes());
        // The backend's descriptor is noted just before the relay phase is entered.
        let before: Duration =
            [Phase::Header, Phase::Peek, Phase::Dial].map(|phase| self.spent(phase)).iter().sum();
        let connected = if phase < Phase::Relay { Duration::ZERO } else { age.saturating_sub(before) };
        let claim = |descriptor: &AtomicI32, held_for| {
            let fd = descriptor.load(Ordering::Relaxed);
            (fd >= 0).then_some(Claim { fd, held_for })
        };
        let due = Some(self.deadline_at.load(Ordering::Relaxed)).filter(|micros| *micros > 0);
        let kind = KINDS.get(usize::from(self.deadline_kind.load(Ordering::Relaxed))).copied();
        let [client, backend] = &self.descriptors;
        TableEntry {
            id: self.id,
            peer: self.peer,
            pool: self.pool(),
            phase,
            age,
            in_phase: self.in_phase(now),
            idle: self.idle(now),
            from_client,
            from_backend,
            deadline: due.map(|micros| self.opened + Duration::from_micros(micros)).zip(kind),
            client: claim(client, age),
            backend: claim(backend, connected),
        }
    }

    pub(crate) fn view(&self, now: Instant) -> ConnView {
        let micros = |n: &AtomicU64| Duration::from_micros(n.load(Ordering::Relaxed));
        let age = now.saturating_duration_since(self.opened);
        let (from_client, from_backend) = self.bytes();
        let kind = usize::from(self.deadline_kind.load(Ordering::Relaxed));
        let held = |descriptor: &AtomicI32| Some(descriptor.load(Ordering::Relaxed)).filter(|fd| *fd >= 0);
        let [client, backend] = &self.descriptors;
        ConnView {
            id: self.id,
            peer: self.peer,
            listener: Arc::clone(&self.listener),
            facts: self.facts.lock().clone(),
            pool: self.pool(),
            phase: self.phase(),
            age,
            in_phase: self.in_phase(now),
            idle: self.idle(now),
            from_client,
            from_backend,
            deadline_at: self.opened + micros(&self.deadline_at),
            deadline: KINDS.get(kind).copied().unwrap_or(DeadlineKind::Header),
            client_descriptor: held(client),
            backend_descriptor: held(backend),
        }
    }
}

/// One connection as it was when somebody looked.
#[derive(Debug, Clone)]
pub struct ConnView {
    /// Its id.
    pub id: ConnId,
    /// Who is on the accepted socket.
    pub peer: PeerAddr,
    /// The listener that accepted it.
    pub listener: Arc<str>,
    /// What is known of it.
    pub facts: Facts,
    /// The number of its pool, once it is known.
    pub pool: Option<u8>,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since it was accepted.
    pub age: Duration,
    /// Since it entered its phase.
    pub in_phase: Duration,
    /// Since bytes last moved (since it was accepted, if none has).
    pub idle: Duration,
    /// Bytes read from the client.
    pub from_client: u64,
    /// Bytes read from the backend.
    pub from_backend: u64,
    /// When its nearest deadline is.
    pub deadline_at: Instant,
    /// Which deadline that is.
    pub deadline: DeadlineKind,
    /// The accepted socket's descriptor, where there is one.
    pub client_descriptor: Option<RawFd>,
    /// The dialled socket's descriptor, once there is one.
    pub backend_descriptor: Option<RawFd>,
}
