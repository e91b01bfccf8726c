//! The one cleanup.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::PeerAddr;
use proxy_core::relay::{Due, Meter, RelayDeadline, Side};
use tokio::time::Instant;

use crate::cancel::Reason;
use crate::end::{Cause, End};
use crate::entry::{DeadlineKind, Entry, Facts};
use crate::id::ConnId;
use crate::outcomes::Tally;
use crate::phase::Phase;
use crate::pool_id::PoolId;
use crate::tracker::{Key, Tracker};

/// A connection's entry in the tracker. It is there from [`Tracker::open`] until this is dropped, and `Drop` is the only
/// place where an entry is removed, counted and told to the subscriber.
///
/// Keep it in a frame that outlives the sockets and permits of the connection (declare it first), so that *not tracked*
/// implies *closed*.
#[derive(Debug)]
#[must_use = "dropping the guard ends the connection's entry"]
pub struct ConnGuard {
    tracker: Arc<Tracker>,
    key: Key,
    entry: Arc<Entry>,
    /// How it ended, once somebody has said so; the first word holds.
    last_word: Mutex<Option<LastWord>>,
}

#[derive(Debug)]
struct LastWord {
    end: End,
    detail: Option<Box<str>>,
}

impl ConnGuard {
    pub(crate) fn new(tracker: Arc<Tracker>, key: Key, entry: Arc<Entry>) -> Self {
        Self { tracker, key, entry, last_word: Mutex::new(None) }
    }

    /// The connection's id.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.entry.id(self.tracker.home())
    }

    /// The worker in whose part of the table it is, below [`Tracker::workers`]; None where it is in none.
    #[must_use]
    pub fn worker(&self) -> Option<usize> {
        self.tracker.worker(self.key).map(|worker| worker.nth)
    }

    /// The table that it is in.
    #[must_use]
    pub const fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// The peer of the accepted socket.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.entry.peer()
    }

    /// The phase it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.entry.phase()
    }

    /// When it was accepted.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.entry.opened(self.tracker.home())
    }

    /// Enters `phase`, which has to end by `deadline`.
    ///
    /// # Errors
    /// The [`End`] of the connection, if there is no transition from its phase to `phase`. It is noted already, as if
    /// [`end`](Self::end) had been called: no caller can hide the fault.
    pub fn enter(&self, phase: Phase, deadline: Instant, kind: DeadlineKind) -> Result<(), End> {
        self.entry.enter(phase, self.age(Instant::now())).inspect_err(|end| {
            self.end(*end, Some(format!("from {} to {phase}", end.phase).into()));
        })?;
        self.entry.set_deadline(self.age(deadline), kind);
        self.tracker.entered(self.id(), phase);
        Ok(())
    }

    /// Says when the present phase has to end.
    pub fn deadline(&self, at: Instant, kind: DeadlineKind) {
        self.entry.set_deadline(self.age(at), kind);
    }

    /// Counts the connection to a pool. An `immortal` one is never ended for its silence.
    pub fn join(&self, pool: PoolId, immortal: bool) {
        let before = self.entry.join(pool, immortal);
        self.tracker.joined(self.key, before, pool);
    }

    /// Notes what was learnt of the connection; it is counted to the route and the target that it has from then on.
    pub fn learn(&self, note: impl FnOnce(&mut Facts)) {
        self.entry.learn(self.tracker.worker(self.key), note);
    }

    /// Counts a failure of a target that the connection goes on from: that it [learns](Self::learn) of another one says only that it
    /// does.
    pub fn failed_at(&self, target: &Tally) {
        if let Some(worker) = self.tracker.worker(self.key) {
            target.counts().failed(worker);
        }
    }

    /// Notes that it has waited for a place for so long, whether it has got one or not.
    pub fn waited(&self, time: Duration) {
        self.entry.waited(time);
        if let Some(worker) = self.tracker.worker(self.key) {
            self.tracker.figures().waited(worker.nth, time);
        }
    }

    /// Notes the descriptor that the connection holds on `side`, for the audit, which compares entries with open sockets.
    pub fn hold(&self, side: Side, descriptor: Option<RawFd>) {
        self.entry.hold(side, descriptor);
    }

    /// Notes that the client's first bytes are on their way to the backend: they were read before the relay began.
    pub fn has_spoken(&self) {
        self.entry.client_has_spoken();
    }

    /// Takes so many bytes back that were counted as the client's: they were of a handshake that ends here. What the client says is
    /// counted as it comes out of its TLS.
    pub fn spent_on_handshake(&self, bytes: u64) {
        self.entry.spent_on_handshake(bytes);
    }

    /// Resolves when the connection is cancelled: killed, drained, shut down. Cancel-safe.
    pub async fn cancelled(&self) -> Reason {
        self.entry.cancelled().await
    }

    /// Says how the connection ended. The first word holds; the entry stays until the guard is dropped.
    pub fn end(&self, end: End, detail: Option<Box<str>>) {
        self.last_word.lock().get_or_insert(LastWord { end, detail });
    }

    /// For how long no byte has moved, at `now`.
    #[must_use]
    pub fn silent_for(&self, now: Instant) -> Duration {
        self.entry.idle(self.age(now))
    }

    /// How many bytes have come from the client and from the backend.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.entry.bytes()
    }

    /// For how long it has been in its phase, at `now`.
    #[must_use]
    pub fn in_phase_for(&self, now: Instant) -> Duration {
        self.entry.in_phase(self.age(now))
    }

    /// How old the connection is at `at`.
    fn age(&self, at: Instant) -> Duration {
        self.entry.age(self.tracker.home(), at)
    }
}

/// The guard is where the relay counts.
impl Meter for ConnGuard {
    fn moved(&self, from: Side, bytes: u64, now: Instant) {
        self.entry.moved(from, bytes, self.age(now));
    }

    fn half_closed(&self, _: Side, now: Instant) {
        // A relay half-closes once. Should it ever say so twice, the first holds.
        if self.entry.phase() == Phase::Relay && self.entry.enter(Phase::Drain, self.age(now)).is_ok() {
            self.tracker.entered(self.id(), Phase::Drain);
        }
    }

    fn deadline(&self, due: &Due) {
        self.entry.set_due(due, |at| self.age(at));
    }

    fn warned(&self, at: Instant, why: RelayDeadline) {
        self.tracker.warned(&self.entry, at, why);
    }
}

impl Drop for ConnGuard {
    fn drop(&mut self) {
        let phase = self.entry.phase();
        let unsaid = if std::thread::panicking() { Cause::Panicked } else { Cause::Aborted };
        let last_word = self.last_word.get_mut().take();
        let last_word = last_word.unwrap_or(LastWord { end: unsaid.during(phase), detail: None });
        self.tracker.close(self.key, &mut self.entry, last_word.end, last_word.detail.as_deref());
    }
}
