//! The audit: an independent watch that compares what the tracker says with what the kernel says.
//!
//! Entries, sockets, permits and tasks of a connection live and die together because one frame owns them all. The audit
//! does not help with that, and nothing relies on it: it looks from outside, and every difference it finds is a defect
//! somewhere else. It ends one thing only, a connection that has outlived its deadline, and counts that as a rescue.
//!
//! | finding | what it means | what to do |
//! |---|---|---|
//! | `orphan_sockets` | an open TCP socket, connected or closing or closed by the peer, is in no entry: something kept a stream beyond its connection, or opened one without a guard | find by its addresses who opened it; tell the audit of it if it is right ([`Expectations::known`]) |
//! | `zombies` | an entry's sockets are all gone: the guard outlived its streams, or its task does not run | the id's log lines; a task that never runs means a blocked worker |
//! | `half_zombies` | one of an entry's two sockets is gone and the relay goes on as if it were not | the same; it is a reset that was not noticed |
//! | `stuck` (warning) | the backend never answered: it has said nothing after the client's first words (what it said before is a greeting), or neither side has ever said a word | look at the backend; usual for one-way protocols |
//! | `overdue` | an entry is still there although its deadline has passed: a timer was lost, or a worker is blocked. It is ended, with [`Cause::Overdue`](crate::Cause::Overdue) | look at the phase and deadline it names; many at once are a worker that lags |
//! | `tasks` | there are more or fewer connection tasks than entries | more: a task goes on after its guard is gone; fewer: a guard is kept outside any task |
//! | `permits` | a limit's permits in use are not those of its entries | more: a permit outlives its connection, and the limit shrinks; fewer: a permit is given back too early |
//!
//! Workers go on while it looks. So whatever is odd is looked at again, and only what is odd every time is reported
//! ([`looks`]); the comparison of one look ([`compare`](fn@compare)) is pure. While many connections come and go, counts
//! can only be compared roughly: a leaked permit then shows in the next quiet moment, or when there are a few.
//!
//! Not seen: a backend's descriptor that was reused by a TCP socket that is in no entry (a client's is told apart by its
//! peer); a socket that is being dialled (`SYN_SENT`), which belongs to the dial.
//!
//! It spawns nothing and needs a runtime only for its pauses. Reading the kernel blocks, for about 4.5 µs a socket: unless
//! told otherwise ([`Audit::reading`]) this is done right where [`Audit::watch`] runs, so that has to be the control
//! runtime, never a worker.

mod compare;
mod diag;
pub mod kernel;
pub mod looks;
mod proc;
mod report;
mod state;
mod stuck;
mod table;

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_core::Bound;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use compare::{Difference, Holding, Suspect, Suspects, compare};
pub use kernel::{Kernel, OwnSocket, TcpState};
pub use report::{AuditReport, FINDINGS_OF_A_KIND, Finding, Gauge};
pub use state::AuditState;
pub use stuck::StuckAt;
pub use table::{Claim, Expectations, Holders, PermitsInUse, Table, TableEntry};

use crate::cancel::Reason;
use crate::tracker::Tracker;
use looks::{Looks, Step};

/// Of so many audits in a row with nothing new to see, one asks the kernel all the same.
const UNASKED: u32 = 10;

/// How often the audit runs, and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields, default))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AuditOptions {
    /// From the end of one audit to the next. A look at 100 000 connections costs about 0.9s of one
    /// core, and there are up to three. Default 30s.
    pub interval: Bound,
    /// How long a socket or an entry may be without the other, a count wrong, and a deadline passed by more than
    /// `overdue_tick`, before it is reported: longer than a loaded worker may take to come to it. Default 2s.
    pub grace: Bound,
    /// How long after its deadline a connection may still be there before it is ended: longer than a loaded worker's
    /// timers may be late. Default 1s.
    pub overdue_tick: Bound,
    /// How old a connection must be, on which the backend has sent nothing since the client's first bytes, or neither side has
    /// sent anything, for a warning. Default 5m.
    pub stuck_after: Bound,
    /// The pause before whatever is odd is looked at again. Default 200ms.
    pub second_look: Bound,
}

proxy_values::setters!(AuditOptions {
    interval: Bound,
    grace: Bound,
    overdue_tick: Bound,
    stuck_after: Bound,
    second_look: Bound
});

impl AuditOptions {
    /// The defaults, for constants.
    pub const DEFAULT: Self = Self {
        interval: Bound::secs(30),
        grace: Bound::secs(2),
        overdue_tick: Bound::secs(1),
        stuck_after: Bound::secs(300),
        second_look: Bound::millis(200),
    };
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Receives what audits find. Called from where the audit runs; it must not block.
pub trait AuditSubscriber: Send + Sync {
    /// An audit has ended. Called for each, clean or not.
    fn audited(&self, report: &AuditReport) {
        let _ = report;
    }

    /// The kernel cannot be asked. Called once, and again only after it could be.
    fn blinded(&self, why: &str) {
        let _ = why;
    }
}

impl AuditSubscriber for () {}

/// A reading of the kernel under way.
pub type Reading = Pin<Box<dyn Future<Output = io::Result<Kernel>> + Send>>;

/// The audit of one process. Cheap to clone; clones are the same audit.
#[derive(Clone)]
pub struct Audit(Arc<Parts>);

struct Parts {
    options: Mutex<AuditOptions>,
    /// Told when the options are others.
    changed: Notify,
    tracker: Arc<Tracker>,
    expect: Box<dyn Fn() -> Expectations + Send + Sync>,
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    subscriber: Box<dyn AuditSubscriber>,
    state: Arc<AuditState>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("options", &*self.0.options.lock()).finish_non_exhaustive()
    }
}

impl Audit {
    /// An audit of `tracker`, which reads the kernel where it runs. `expect` is asked at each look for what should agree
    /// with the entries; it must not block.
    pub fn new(
        options: AuditOptions,
        tracker: Arc<Tracker>,
        expect: impl Fn() -> Expectations + Send + Sync + 'static,
        subscriber: impl AuditSubscriber + 'static,
    ) -> Self {
        Self::reading(options, tracker, expect, subscriber, || Box::pin(async { Kernel::read() }))
    }

    /// The same with another way to call [`Kernel::read`]: on a thread that may block, or none at all in a simulation.
    pub fn reading(
        options: AuditOptions,
        tracker: Arc<Tracker>,
        expect: impl Fn() -> Expectations + Send + Sync + 'static,
        subscriber: impl AuditSubscriber + 'static,
        read: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Self {
        let (expect, read) = (Box::new(expect), Box::new(read));
        let (subscriber, state) = (Box::new(subscriber), Arc::default());
        let (options, changed) = (Mutex::new(options), Notify::new());
        Self(Arc::new(Parts { options, changed, tracker, expect, read, subscriber, state }))
    }

    /// Takes other options, as a reload does: a new interval counts from now on, an audit under way ends with the old ones.
    pub fn set_options(&self, options: AuditOptions) {
        let before = std::mem::replace(&mut *self.0.options.lock(), options);
        if before.interval != options.interval {
            self.0.changed.notify_one();
        }
    }

    /// Its last run and its gauges, for metrics.
    #[must_use]
    pub fn state(&self) -> &Arc<AuditState> {
        &self.0.state
    }

    /// Audits at every interval until `stop` resolves, also in the middle of an audit. While no connection has begun or ended
    /// since an audit that found nothing, the kernel is asked only at every tenth: its sockets are as they were, and a
    /// proxy that has nothing to do should do nothing. Deadlines, tasks and permits are looked at each time.
    pub async fn watch(self, stop: impl Future<Output = ()> + Send) {
        let watching = async {
            let (mut clean_at, mut unasked) = (None, 0);
            loop {
                self.rest().await;
                let seen = (self.0.tracker.opened(), self.0.tracker.len());
                let asks = clean_at != Some(seen) || unasked + 1 >= UNASKED;
                unasked = if asks { 0 } else { unasked + 1 };
                let report = self.run(asks).await;
                clean_at = (report.is_clean() && report.blind.is_none()).then_some(seen);
            }
        };
        tokio::select! {
            biased;
            () = stop => (),
            () = watching => (),
        }
    }

    /// Waits for the interval, anew when that is changed.
    async fn rest(&self) {
        loop {
            let interval = self.0.options.lock().interval.get();
            tokio::select! {
                biased;
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep(interval) => return,
            }
        }
    }

    /// Audits once: up to three looks, within `grace` and the time that looking takes. Ends what is overdue, notes the
    /// heartbeat and tells the subscriber.
    // CANCEL: dropped in the middle, nothing was ended and nothing noted.
    pub async fn run_once(&self) -> AuditReport {
        self.run(true).await
    }

    /// The same; `asks`: whether the kernel is asked.
    async fn run(&self, asks: bool) -> AuditReport {
        let Parts { tracker, subscriber, state, .. } = &*self.0;
        let options = *self.0.options.lock();
        let (started, mut looks, mut report) = (Instant::now(), Looks::new(&options), AuditReport::default());
        let lasting = loop {
            let found = self.look(&mut report, asks, &options).await;
            match looks.look(found) {
                Step::Again(pause) => tokio::time::sleep(pause).await,
                Step::Done(lasting) => break *lasting,
            }
        };
        report.rescued = end(tracker, &lasting.overdue);
        let now = Instant::now();
        report.stuck = stuck::places(tracker, &lasting.stuck, now);
        report.fill(lasting, |suspect| suspect.late(now));
        (report.looks, report.took) = (looks.taken(), now.saturating_duration_since(started));
        if state.note(&report) {
            subscriber.blinded(report.blind.as_deref().unwrap_or_default());
        }
        subscriber.audited(&report);
        report
    }

    /// One look; what it saw is noted in `report`.
    async fn look(&self, report: &mut AuditReport, asks: bool, options: &AuditOptions) -> Suspects {
        let Parts { tracker, expect, read, .. } = &*self.0;
        let started = Instant::now();
        let (table, expected) = Table::read(tracker, expect);
        let kernel = if asks { Some(read().await) } else { None };
        let told = kernel.as_ref().and_then(|kernel| kernel.as_ref().ok());
        let suspects = compare(&table, told, &expected, options);
        report.entries = table.entries.len();
        report.sockets = told.map(|kernel| kernel.sockets().len());
        report.blind = kernel.and_then(Result::err).map(|error| error.to_string().into());
        report.busy += started.elapsed();
        suspects
    }
}

/// Ends these; how many were not being ended already.
fn end(tracker: &Tracker, overdue: &[Suspect]) -> usize {
    if overdue.is_empty() {
        return 0;
    }
    let ids: HashSet<_> = overdue.iter().map(|suspect| suspect.conn.id).collect();
    let meant = tracker.connections().into_iter().filter(|conn| ids.contains(&conn.id()));
    meant.filter(|conn| conn.cancel(Reason::Overdue)).count()
}
