//! What the tracker knows of one connection.
//!
//! The connection's own task writes, others read through relaxed atomics: no lock is on the byte path. What is learnt
//! once (client, route, target) is behind a lock that is taken once for each and by a snapshot.
//!
//! ```text
//!  age 0 ─────── entered[0] ──── entered[1] ──── entered[2] ──── entered[3] ──── age
//!        header           peek            dial           relay           drain
//! ```
//! Times are ages: how old the connection was. One for each phase says all of what was spent where. A connection that goes from request
//! to request is idle and busy by turns: of those times there are the sums, as if all of its idle time had come first, and when the
//! present turn began.

mod deadline;
mod known;
pub(crate) mod looks;
mod mark;
mod talk;
mod times;

use std::future::poll_fn;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::relay::{Due, Side};
use proxy_core::{ClientAddr, PeerAddr};
use tokio::time::Instant;

use crate::audit::{Claim, TableEntry};
use crate::cancel::{Cancel, Reason};
use crate::end::{Cause, End};
use crate::id::{ConnId, Trail};
use crate::opening::{Opening, Role};
use crate::outcomes::Tally;
use crate::phase::Phase;
use crate::pool_id::{NO_POOL, PoolId};

use self::deadline::{Deadline, Kinds};
use self::known::{Known, Packed};
use self::mark::Mark;
use self::talk::Spoken;

pub use self::deadline::DeadlineKind;
pub use self::talk::Talk;

/// What is learnt of a connection as it goes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Facts {
    /// The client, once the header phase is over.
    pub client: Option<ClientAddr>,
    /// Its ids on the hops before.
    pub previous: Trail,
    /// The server name in its ClientHello.
    pub server_name: Option<Box<str>>,
    /// Why it was routed as one without a name, where it has sent what begins as TLS does.
    pub nameless: Option<Box<str>>,
    /// What is known of its client's TLS, where it ends here or has ended on a hop before that tells of it.
    pub tls: Option<Box<TlsFacts>>,
    /// The hop that it came from, by the name in the certificate that this has proven to be its own.
    pub hop: Option<Box<str>>,
    /// The route it took; it is counted under it from then on.
    pub route: Option<Tally>,
    /// The target it reached, or was last trying to reach; it is counted under it from then on.
    pub target: Option<Tally>,
}

/// What is known of the client's TLS: what a handshake here has come to, and what a hop before has told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version, such as `TLSv1.3`; empty where no handshake was done here.
    pub version: &'static str,
    /// The cipher suite, by its name in the registry of IANA.
    pub cipher: &'static str,
    /// The group of the key exchange, by its name in the registry of IANA; None where a session was resumed without one.
    pub group: Option<&'static str>,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// The application protocol that was agreed upon.
    pub alpn: Option<Box<str>>,
    /// The fingerprint of its hello (JA4).
    pub ja4: Option<Box<str>>,
    /// Who the client has proven to be: the name in its certificate.
    pub identity: Option<Box<str>>,
    /// What the hop before has told of the client's TLS that ended there: version, cipher suite, and whose certificate it gave.
    pub before: Option<Box<str>>,
}

/// What all entries of a tracker have in common, so that none has to hold it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    pub(crate) instance: u32,
    /// Before any entry was opened.
    pub(crate) began: Instant,
}

/// One connection, as the tracker has it. There are up to a million of these: every byte counts
/// (`tests/tracker_memory.rs`).
#[derive(Debug)]
pub(crate) struct Entry {
    count: u64,
    /// Nanoseconds after its home began.
    opened: u64,
    listener: Tally,
    from_client: AtomicU64,
    from_backend: AtomicU64,
    /// Of these, how many are in the counts of what it belongs to.
    counted: [AtomicU64; 2],
    /// When each phase but header and busy was entered. A phase that was passed over has the time of the one after. Where busy began, as if
    /// all idle time had come first, is where relay's is to come, and then where drain's is to: what one that was upgraded was idle
    /// before that counts as busy once it drains.
    entered: [Mark; Phase::ALL.len() - 2],
    last_activity: Mark,
    /// In idle and busy: when this turn began. From the relay on: when the client first spoke to a backend that owed it an answer from
    /// then on.
    spoke: Mark,
    /// How long the backend's first byte took.
    first_byte: Mark,
    deadline: Deadline,
    deadline_kinds: Kinds,
    /// The descriptors it holds, -1 for none: client's, backend's.
    descriptors: [AtomicI32; 2],
    known: Mutex<Known>,
    peer: Packed,
    phase: AtomicU8,
    /// The number of its pool; `NO_POOL` until it is known.
    pool: AtomicU8,
    /// And its role, and whether it may be silent for ever.
    spoken: Spoken,
    cancel: Cancel,
}

impl Entry {
    pub(crate) fn new(count: u64, opening: Opening, home: Home, now: Instant) -> Self {
        let Opening { peer, listener, role } = opening;
        let opened = now.saturating_duration_since(home.began).as_nanos();
        Self {
            count,
            opened: u64::try_from(opened).unwrap_or(u64::MAX),
            listener,
            from_client: AtomicU64::new(0),
            from_backend: AtomicU64::new(0),
            counted: [const { AtomicU64::new(0) }; 2],
            entered: [const { Mark::zero() }; Phase::ALL.len() - 2],
            last_activity: Mark::zero(),
            spoke: Mark::zero(),
            first_byte: Mark::unset(),
            deadline: Deadline::unset(),
            deadline_kinds: Kinds::none(),
            descriptors: [AtomicI32::new(-1), AtomicI32::new(-1)],
            known: Mutex::default(),
            peer: Packed::of(peer.socket_addr()),
            phase: AtomicU8::new(Phase::Header as u8),
            pool: AtomicU8::new(NO_POOL),
            spoken: Spoken::nothing(role),
            cancel: Cancel::default(),
        }
    }

    pub(crate) fn id(&self, home: Home) -> ConnId {
        ConnId { instance: home.instance, count: self.count }
    }

    pub(crate) fn peer(&self) -> PeerAddr {
        PeerAddr::new(self.peer.addr())
    }

    pub(crate) const fn listener(&self) -> &Tally {
        &self.listener
    }

    pub(crate) fn opened(&self, home: Home) -> Instant {
        home.began + Duration::from_nanos(self.opened)
    }

    /// Since it was accepted.
    pub(crate) fn age(&self, home: Home, now: Instant) -> Duration {
        now.saturating_duration_since(home.began).saturating_sub(Duration::from_nanos(self.opened))
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from_index(self.phase.load(Ordering::Acquire))
    }

    /// Goes to `next`, at `age`. Only the connection's own task calls this.
    pub(crate) fn enter(&self, next: Phase, age: Duration) -> Result<(), End> {
        let phase = self.phase();
        if !phase.may_enter(next) {
            return Err(Cause::IllegalTransition.during(phase));
        }
        self.mark(phase, next, age);
        // Whoever sees the phase sees when it was entered, too.
        self.phase.store(next as u8, Ordering::Release);
        Ok(())
    }

    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.from_client.load(Ordering::Relaxed), self.from_backend.load(Ordering::Relaxed))
    }

    /// Notes that its phase has to end at the age of `due`, whatever moves.
    pub(crate) fn set_deadline(&self, due: Duration, kind: DeadlineKind) {
        self.deadline.set(&self.deadline_kinds, due, kind);
    }

    /// Notes until when its relay may last; `age`: how old the connection is at a time.
    pub(crate) fn set_due(&self, due: &Due, age: impl Fn(Instant) -> Duration) {
        self.deadline.set_due(&self.deadline_kinds, due, age);
    }

    pub(crate) fn moved(&self, from: Side, bytes: u64, age: Duration) {
        let counter = match from {
            Side::Client => &self.from_client,
            Side::Backend => &self.from_backend,
        };
        // Only this connection's task writes: a plain add, readable by others.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
        self.last_activity.set(age);
        if bytes > 0 && self.spoken.last_word(matches!(from, Side::Client)) {
            self.hear(from, age);
        }
    }

    /// Of what was read of the client so many bytes were of its TLS, which ends here, and none of what it says.
    pub(crate) fn spent_on_handshake(&self, bytes: u64) {
        let read = self.from_client.load(Ordering::Relaxed);
        self.from_client.store(read.saturating_sub(bytes), Ordering::Relaxed);
        self.spoken.last_word(false);
    }

    /// Its pool is known; the one that it was counted to before, if that is another one.
    pub(crate) fn join(&self, pool: PoolId, immortal: bool) -> Option<PoolId> {
        let before = self.pool();
        self.pool.store(pool.byte(), Ordering::Relaxed);
        self.spoken.set_immortal(immortal);
        before
    }

    pub(crate) fn role(&self) -> Role {
        self.spoken.role()
    }

    pub(crate) fn is_immortal(&self) -> bool {
        self.spoken.is_immortal()
    }

    pub(crate) fn pool(&self) -> Option<PoolId> {
        PoolId::from_byte(self.pool.load(Ordering::Relaxed))
    }

    /// Since it entered its phase, at the age of `age`.
    pub(crate) fn in_phase(&self, age: Duration) -> Duration {
        age.saturating_sub(self.since())
    }

    /// Since bytes last moved, at the age of `age`.
    pub(crate) fn idle(&self, age: Duration) -> Duration {
        age.saturating_sub(self.last_activity.age())
    }

    pub(crate) fn hold(&self, side: Side, descriptor: Option<RawFd>) {
        let [client, backend] = &self.descriptors;
        let held = match side {
            Side::Client => client,
            Side::Backend => backend,
        };
        held.store(descriptor.unwrap_or(-1), Ordering::Relaxed);
    }

    /// The client's and the backend's.
    pub(crate) fn held(&self) -> [Option<RawFd>; 2] {
        self.descriptors.each_ref().map(|fd| Some(fd.load(Ordering::Relaxed)).filter(|fd| *fd >= 0))
    }

    /// What was learnt, and no more waiting for a cancel: it is over. Nothing is copied if nobody else looks at it.
    pub(crate) fn last_facts(self: &mut Arc<Self>) -> Facts {
        if let Some(own) = Arc::get_mut(self) {
            return own.known.get_mut().take();
        }
        let (facts, waker) = {
            let mut known = self.known.lock();
            (known.facts(), known.waker.take())
        };
        drop(waker);
        facts
    }

    /// Cancels; whether this was the first reason.
    pub(crate) fn cancel(&self, reason: Reason) -> bool {
        let first = self.cancel.say(reason);
        if first {
            let waker = self.known.lock().waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        first
    }

    /// Resolves when cancelled. Cancel-safe. There is one waiter: the connection's own task.
    pub(crate) async fn cancelled(&self) -> Reason {
        poll_fn(|context| {
            if let Some(reason) = self.cancel.reason() {
                return Poll::Ready(reason);
            }
            let before = {
                let mut known = self.known.lock();
                // Again: who cancels says so, then takes the waker under the lock.
                if let Some(reason) = self.cancel.reason() {
                    return Poll::Ready(reason);
                }
                match &known.waker {
                    Some(waker) if waker.will_wake(context.waker()) => None,
                    _ => known.waker.replace(context.waker().clone()),
                }
            };
            // Not under the lock: a waker may be the last to hold its task.
            drop(before);
            Poll::Pending
        })
        .await
    }

    /// What the audit compares: no lock, no allocation.
    pub(crate) fn audited(&self, home: Home, now: Instant) -> TableEntry {
        let (opened, age) = (self.opened(home), self.age(home, now));
        let phase = self.phase();
        // The backend's descriptor is noted just before the relay phase is entered.
        let connected = match phase {
            Phase::Header | Phase::Peek | Phase::Tls | Phase::Dial => Duration::ZERO,
            // One that is kept for clients is entered as soon as it is there.
            Phase::Idle | Phase::Busy => age.saturating_sub(self.entered(Phase::Idle)),
            Phase::Relay | Phase::Drain => age.saturating_sub(self.entered(Phase::Relay)),
        };
        let [client, backend] = self.held();
        TableEntry {
            id: self.id(home),
            peer: self.peer(),
            role: self.role(),
            pool: self.pool(),
            phase,
            age,
            in_phase: self.in_phase(age),
            idle: self.idle(age),
            talk: self.spoken.talk(),
            deadline: self
                .deadline
                .nearest(&self.deadline_kinds, &self.last_activity)
                .map(|(due, kind)| (opened + due, kind)),
            client: client.map(|fd| Claim { fd, held_for: age }),
            backend: backend.map(|fd| Claim { fd, held_for: connected }),
        }
    }

    pub(crate) fn view(&self, home: Home, now: Instant) -> ConnView {
        let (opened, age) = (self.opened(home), self.age(home, now));
        let (from_client, from_backend) = self.bytes();
        let [client_descriptor, backend_descriptor] = self.held();
        let deadline = self.deadline.nearest(&self.deadline_kinds, &self.last_activity);
        let (due, deadline) = deadline.unwrap_or((Duration::ZERO, DeadlineKind::Header));
        ConnView {
            id: self.id(home),
            peer: self.peer(),
            listener: self.listener.clone(),
            role: self.role(),
            facts: self.known.lock().facts(),
            pool: self.pool(),
            phase: self.phase(),
            age,
            in_phase: self.in_phase(age),
            idle: self.idle(age),
            from_client,
            from_backend,
            deadline_at: opened + due,
            deadline,
            client_descriptor,
            backend_descriptor,
        }
    }
}

/// A snapshot of one connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnView {
    /// Its id.
    pub id: ConnId,
    /// The peer of the accepted socket.
    pub peer: PeerAddr,
    /// The listener that accepted it.
    pub listener: Tally,
    /// What it is.
    pub role: Role,
    /// What is known of it.
    pub facts: Facts,
    /// The number of its pool, once it is known.
    pub pool: Option<PoolId>,
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
    /// When its nearest deadline is, if nothing moves any more.
    pub deadline_at: Instant,
    /// Which deadline that is.
    pub deadline: DeadlineKind,
    /// The accepted socket's descriptor, where there is one.
    pub client_descriptor: Option<RawFd>,
    /// The dialled socket's descriptor, once there is one.
    pub backend_descriptor: Option<RawFd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(peer: &str, home: Home) -> Entry {
        Entry::new(1, Opening::new(PeerAddr::new(peer.parse().unwrap()), "test"), home, home.began)
    }

    fn home() -> Home {
        Home { instance: 1, began: Instant::now() }
    }

    #[tokio::test]
    async fn the_first_reason_wins_whenever_it_is_waited_for() {
        let entry = entry("127.0.0.1:1", home());
        let mut early = tokio_test::task::spawn(entry.cancelled());
        tokio_test::assert_pending!(early.poll());
        tokio_test::assert_pending!(early.poll());
        assert!(entry.cancel(Reason::Killed));
        assert!(!entry.cancel(Reason::Shutdown));
        assert!(early.is_woken());
        assert_eq!(tokio_test::assert_ready!(early.poll()), Reason::Killed);
        assert_eq!(entry.cancelled().await, Reason::Killed);
    }

    #[tokio::test]
    async fn an_entry_that_is_over_keeps_no_task() {
        let mut entry = Arc::new(entry("127.0.0.1:1", home()));
        let looked_at = Arc::clone(&entry);
        entry.learn(None, |facts| facts.route = Some("route".into()));
        let mut waiting = tokio_test::task::spawn(looked_at.cancelled());
        tokio_test::assert_pending!(waiting.poll());
        assert_eq!(entry.last_facts().route.as_deref(), Some("route"));
        assert!(entry.known.lock().waker.is_none());
        assert_eq!(looked_at.known.lock().facts().route.as_deref(), Some("route"), "who looks still sees");
    }

    #[test]
    fn a_phase_that_is_passed_over_took_no_time() {
        let (home, secs) = (home(), Duration::from_secs);
        let entry = entry("127.0.0.1:1", home);
        entry.enter(Phase::Dial, secs(2)).unwrap();
        entry.enter(Phase::Relay, secs(5)).unwrap();
        assert_eq!(Phase::ALL.map(|phase| entry.spent(phase, secs(9)).as_secs()), [2, 0, 0, 3, 0, 0, 4, 0]);
        assert_eq!(entry.enter(Phase::Peek, secs(10)), Err(Cause::IllegalTransition.during(Phase::Relay)));
        assert_eq!(Phase::ALL.map(|phase| entry.spent(phase, secs(9)).as_secs()), [2, 0, 0, 3, 0, 0, 4, 0]);
    }

    #[test]
    fn turns_of_requests_add_up_to_what_was_idle_and_what_was_busy() {
        let (home, secs) = (home(), Duration::from_secs);
        let entry = entry("127.0.0.1:1", home);
        let spent = |age| Phase::ALL.map(|phase| entry.spent(phase, secs(age)).as_secs());
        entry.enter(Phase::Dial, secs(1)).unwrap();
        entry.enter(Phase::Idle, secs(2)).unwrap();
        assert_eq!((spent(5), entry.in_phase(secs(5))), ([1, 0, 0, 1, 3, 0, 0, 0], secs(3)));
        entry.enter(Phase::Busy, secs(5)).unwrap();
        assert_eq!((spent(6), entry.in_phase(secs(6))), ([1, 0, 0, 1, 3, 1, 0, 0], secs(1)));
        entry.enter(Phase::Idle, secs(7)).unwrap();
        assert_eq!((spent(17), entry.in_phase(secs(17))), ([1, 0, 0, 1, 13, 2, 0, 0], secs(10)));
        entry.enter(Phase::Busy, secs(17)).unwrap();
        assert_eq!(spent(20), [1, 0, 0, 1, 13, 5, 0, 0]);
        entry.enter(Phase::Relay, secs(21)).unwrap();
        assert_eq!((spent(31), entry.in_phase(secs(31))), ([1, 0, 0, 1, 13, 6, 10, 0], secs(10)));
        entry.enter(Phase::Drain, secs(31)).unwrap();
        assert_eq!(spent(33), [1, 0, 0, 1, 0, 19, 10, 2], "of an upgraded one all of it counts as busy");
    }
}
