//! All connections of a process, as a table of guards.
//!
//! The table is split into shards, one for each worker: a worker opens and closes in its own, and only a snapshot or a
//! cancel looks into all.

mod outcomes;
mod places;

use std::fmt;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::PeerAddr;
use proxy_core::relay::RelayDeadline;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::audit::TableEntry;
use crate::cancel::Reason;
use crate::end::{Cause, End};
use crate::entry::{ConnView, Entry, Facts, Home};
use crate::figures::Figures;
use crate::guard::ConnGuard;
use crate::histogram::{self, Histogram};
use crate::id::ConnId;
use crate::opening::{Opening, Role};
use crate::outcomes::{Tally, Worker};
use crate::phase::Phase;
use crate::pool_id::PoolId;

use self::places::{Place, Places};

/// A connection that has ended: its sockets and permits are gone, and so is its entry.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its id.
    pub id: ConnId,
    /// The peer of the accepted socket.
    pub peer: PeerAddr,
    /// The listener that accepted it.
    pub listener: &'a str,
    /// What was learnt of it.
    pub facts: &'a Facts,
    /// How it ended.
    pub end: End,
    /// What there is to say beyond that: the dial's error, the header's fault.
    pub detail: Option<&'a str>,
    /// Bytes read from the client.
    pub from_client: u64,
    /// Bytes read from the backend.
    pub from_backend: u64,
    /// From accept to its end.
    pub lifetime: Duration,
    entry: &'a Entry,
}

impl Ended<'_> {
    /// How long it was in `phase`; zero if it never was.
    #[must_use]
    pub fn spent(&self, phase: Phase) -> Duration {
        self.entry.spent(phase, self.lifetime)
    }
}

/// Receives the events of connections. Called from the connection's own task, with no lock held, never on
/// the byte path; it must not block.
pub trait Subscriber: Send + Sync {
    /// A connection was accepted and has its entry.
    fn opened(&self, id: ConnId, opening: &Opening) {
        let _ = (id, opening);
    }

    /// A connection has entered a phase.
    fn entered(&self, id: ConnId, phase: Phase) {
        let _ = (id, phase);
    }

    /// A connection is going to be ended at `at` because of `why`, unless something moves. Called for those that are kept
    /// alive longer than usual, so that an operator can do something.
    fn warned(&self, about: &ConnView, at: Instant, why: RelayDeadline) {
        let _ = (about, at, why);
    }

    /// A connection has ended. Called once for each.
    fn ended(&self, ended: &Ended<'_>) {
        let _ = ended;
    }
}

impl Subscriber for () {}

/// Both are called, the first one first.
impl<A: Subscriber, B: Subscriber> Subscriber for (A, B) {
    fn opened(&self, id: ConnId, opening: &Opening) {
        self.0.opened(id, opening);
        self.1.opened(id, opening);
    }

    fn entered(&self, id: ConnId, phase: Phase) {
        self.0.entered(id, phase);
        self.1.entered(id, phase);
    }

    fn warned(&self, about: &ConnView, at: Instant, why: RelayDeadline) {
        self.0.warned(about, at, why);
        self.1.warned(about, at, why);
    }

    fn ended(&self, ended: &Ended<'_>) {
        self.0.ended(ended);
        self.1.ended(ended);
    }
}

/// A connection that was in the table when it was listed. It may have ended since; looking at it does no harm, and
/// holds nothing but memory.
#[derive(Debug, Clone)]
pub struct Tracked {
    entry: Arc<Entry>,
    home: Home,
}

impl Tracked {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.entry.id(self.home)
    }

    /// Where it is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.entry.phase()
    }

    /// Its pool, once it is known.
    #[must_use]
    pub fn pool(&self) -> Option<PoolId> {
        self.entry.pool()
    }

    /// Whether it may be silent for ever.
    #[must_use]
    pub fn is_immortal(&self) -> bool {
        self.entry.is_immortal()
    }

    /// Since it was accepted.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        self.entry.age(self.home, now)
    }

    /// Since it entered its phase.
    #[must_use]
    pub fn in_phase(&self, now: Instant) -> Duration {
        self.entry.in_phase(self.age(now))
    }

    /// Since bytes last moved; since it was accepted, if none has.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        self.entry.idle(self.age(now))
    }

    /// Bytes read from the client and from the backend.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.entry.bytes()
    }

    /// All there is to see of it.
    #[must_use]
    pub fn view(&self, now: Instant) -> ConnView {
        self.entry.view(self.home, now)
    }

    /// What the audit compares.
    pub(crate) fn audited(&self, now: Instant) -> TableEntry {
        self.entry.audited(self.home, now)
    }

    /// The descriptors that it holds: the client's, the backend's. They are numbers: the sockets may be closed at any time, and
    /// the numbers be other sockets' then.
    #[must_use]
    pub fn descriptors(&self) -> [Option<RawFd>; 2] {
        self.entry.held()
    }

    /// Ends it; whether it was not being ended already.
    pub fn cancel(&self, reason: Reason) -> bool {
        self.entry.cancel(reason)
    }
}

/// Where an entry is in the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    shard: usize,
    place: Place,
}

/// What one worker opens and closes, on cache lines of its own (128 bytes: processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    entries: Mutex<Places>,
    opened: AtomicU64,
    /// By cause.
    ended: Ends,
    failed: AtomicU64,
    unanswered: AtomicU64,
    /// Bytes that no walk had counted, of those that have ended: from clients, from backends.
    bytes: [AtomicU64; 2],
}

struct Ends([AtomicU64; Cause::ALL.len()]);

impl Default for Ends {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Cause::ALL.len()])
    }
}

/// The first number of a check, far above any of a connection: an id is one of the two.
const FIRST_CHECK: u64 = 1 << 62;

/// The table of connections, and beside it that of health checks: they are entries under deadlines as well, and are in no figure,
/// list or event of connections.
pub struct Tracker {
    shards: Box<[Shard]>,
    /// Those in the role of a check. Its place is the one after the last of `shards`.
    checks: Shard,
    /// What is counted of each pool, by number, once somebody has joined it.
    pools: Box<[OnceLock<Tally>]>,
    /// Bytes that walks have counted: from clients, from backends.
    walked: [AtomicU64; 2],
    home: Home,
    figures: Figures,
    /// How many wait until none is open. Raised before they look, and read under the lock of a shard: so either they see
    /// that an entry has gone, or whoever removes it sees them.
    waiting: AtomicUsize,
    /// Told when the last entry has gone, if anybody waits.
    emptied: Notify,
    subscriber: Box<dyn Subscriber>,
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("len", &self.len())
            .field("opened", &self.opened())
            .finish_non_exhaustive()
    }
}

impl Tracker {
    /// A table with `shards` shards (at least one), best one for each worker.
    #[must_use]
    pub fn new(shards: usize, subscriber: impl Subscriber + 'static) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..shards.max(1)).map(|_| Shard::default()).collect(),
            checks: Shard::default(),
            pools: (0..PoolId::COUNT).map(|_| OnceLock::new()).collect(),
            walked: [const { AtomicU64::new(0) }; 2],
            home: Home { instance: fastrand::u32(..), began: Instant::now() },
            figures: Figures::new(shards.max(1)),
            waiting: AtomicUsize::new(0),
            emptied: Notify::new(),
            subscriber: Box::new(subscriber),
        })
    }

    /// Opens an entry, in the shard of `worker`, and hands out its guard. Call it first thing after accept. One of a
    /// [check](Role::Check) is in no worker's.
    pub fn open(self: &Arc<Self>, worker: usize, opening: Opening) -> ConnGuard {
        if opening.role == Role::Check {
            return self.open_check(opening);
        }
        let index = worker % self.shards.len();
        let shard = self.shard(index);
        let before = shard.opened.fetch_add(1, Ordering::Relaxed);
        let count = before * self.shards.len() as u64 + index as u64 + 1;
        opening.listener.counts().opened(Worker { nth: index, of: self.shards.len() });
        self.subscriber.opened(ConnId { instance: self.home.instance, count }, &opening);
        let entry = Entry::new(count, opening, self.home, Instant::now());
        let entry = Arc::new(entry);
        let place = shard.entries.lock().insert(Arc::clone(&entry));
        ConnGuard::new(Arc::clone(self), Key { shard: index, place }, entry)
    }

    #[cold]
    fn open_check(self: &Arc<Self>, opening: Opening) -> ConnGuard {
        let count = FIRST_CHECK + self.checks.opened.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry::new(count, opening, self.home, Instant::now()));
        let place = self.checks.entries.lock().insert(Arc::clone(&entry));
        ConnGuard::new(Arc::clone(self), Key { shard: self.shards.len(), place }, entry)
    }

    /// The only way out of the table; called by the guard's `Drop`.
    pub(crate) fn close(&self, key: Key, entry: &mut Arc<Entry>, end: End, detail: Option<&str>) {
        let lifetime = entry.age(self.home, Instant::now());
        let shard = self.shard(key.shard);
        if let Some(count) = shard.ended.0.get(end.cause.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let (removed, awaited) = {
            let mut entries = shard.entries.lock();
            (entries.remove(key.place), self.waiting.load(Ordering::Relaxed) > 0)
        };
        debug_assert!(removed.as_ref().is_some_and(|was| Arc::ptr_eq(was, entry)), "an entry leaves once");
        drop(removed);
        if key.shard >= self.shards.len() {
            return;
        }
        self.tell_of(key, entry, end, detail, lifetime);
        if awaited && self.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Counts and tells how a connection ended.
    fn tell_of(&self, key: Key, entry: &mut Arc<Entry>, end: End, detail: Option<&str>, lifetime: Duration) {
        let facts = entry.last_facts();
        let (from_client, from_backend) = entry.bytes();
        let account = entry.account(end, lifetime);
        self.count(key, entry, &facts, &account);
        self.figures.record(key.shard, entry, lifetime, &account);
        self.subscriber.ended(&Ended {
            id: entry.id(self.home),
            peer: entry.peer(),
            listener: entry.listener(),
            facts: &facts,
            end,
            detail,
            from_client,
            from_backend,
            lifetime,
            entry,
        });
    }

    pub(crate) fn home(&self) -> Home {
        self.home
    }

    pub(crate) fn warned(&self, entry: &Entry, at: Instant, why: RelayDeadline) {
        self.subscriber.warned(&entry.view(self.home, Instant::now()), at, why);
    }

    pub(crate) fn entered(&self, id: ConnId, phase: Phase) {
        if id.count < FIRST_CHECK {
            self.subscriber.entered(id, phase);
        }
    }

    fn shard(&self, index: usize) -> &Shard {
        self.shards.get(index).unwrap_or(&self.checks)
    }

    /// The health checks under way.
    #[must_use]
    pub fn checks(&self) -> Vec<Tracked> {
        let entries = self.checks.entries.lock();
        entries.iter().map(|entry| Tracked { entry: Arc::clone(entry), home: self.home }).collect()
    }

    /// How many health checks have begun since the start, and how many of them have ended of `cause`.
    #[must_use]
    pub fn checked(&self, cause: Cause) -> (u64, u64) {
        let ended = self.checks.ended.0.get(cause.index());
        let ended = ended.map_or(0, |count| count.load(Ordering::Relaxed));
        (self.checks.opened.load(Ordering::Relaxed), ended)
    }

    /// How many workers have a part of the table: at least one.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shards.len()
    }

    /// Connections that are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.entries.lock().len()).sum()
    }

    /// Those of each worker, in their order.
    #[must_use]
    pub fn len_by_worker(&self) -> Vec<usize> {
        self.shards.iter().map(|shard| shard.entries.lock().len()).collect()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.entries.lock().is_empty())
    }

    /// Connections opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.shards.iter().map(|shard| shard.opened.load(Ordering::Relaxed)).sum()
    }

    /// Connections that ended of `cause` since the start.
    #[must_use]
    pub fn ended(&self, cause: Cause) -> u64 {
        let ends = self.shards.iter().filter_map(|shard| shard.ended.0.get(cause.index()));
        ends.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The distributions of what has ended: lifetimes, times in phases, bytes.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The distribution of ages of those that live, in milliseconds.
    #[must_use]
    pub fn ages(&self) -> histogram::Snapshot {
        let (now, ages) = (Instant::now(), Histogram::new(histogram::Bounds::MILLIS, 1));
        for connection in self.connections() {
            ages.record_time(0, connection.age(now));
        }
        ages.snapshot()
    }

    /// Every connection as it is now. Each shard is held just long enough to copy its list of entries.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ConnView> {
        let now = Instant::now();
        self.entries().iter().map(|entry| entry.view(self.home, now)).collect()
    }

    /// Every connection, to look at and to end. Cheaper than a [`snapshot`](Self::snapshot): nothing is copied but
    /// references.
    #[must_use]
    pub fn connections(&self) -> Vec<Tracked> {
        self.entries().into_iter().map(|entry| Tracked { entry, home: self.home }).collect()
    }

    /// Ends every connection for `reason`; how many were not being ended already. It does not wait; see
    /// [`emptied`](Self::emptied).
    pub fn cancel_all(&self, reason: Reason) -> usize {
        self.entries().iter().filter(|entry| entry.cancel(reason)).count()
    }

    /// Resolves when no connection is open. Cancel-safe.
    pub async fn emptied(&self) {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let entries = shard.entries.lock();
            all.reserve(entries.len());
            all.extend(entries.iter().cloned());
        }
        all
    }
}

/// One that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
