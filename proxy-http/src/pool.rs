//! Connections to backends that are kept for the next request.
//!
//! ```text
//!           take                        send                     the answer has come whole
//!  ┌──────┐ ───► ┌───────┐ ───────────────────────────────► ┌──────┐ ─── give back ───┐
//!  │ idle │      │ lease │   dropped anywhere on the way:   │ body │                  │
//!  └──────┘      └───────┘   the connection is reset        └──────┘                  │
//!      ▲                                                                              │
//!      └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Each is owned by a task of its own ([`keep`](crate::keep)) and is an entry of the table, so none is without an owner, a deadline and a
//! name. What is here are the senders of those that are idle, by worker: a worker takes from its own. One whose task has let go is
//! forgotten by that task.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::UPGRADE;
use hyper::{Request, Response};
use parking_lot::Mutex;
use proxy_conn::{Cause, ConnGuard, DeadlineKind, Permit, Phase, Tally};
use proxy_core::Stream;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::keep::{Kept, Tunnel, Waits};
use crate::link::{Fate, Link};
use crate::options::{KeepOptions, Options};
use crate::upload::Upload;
use crate::wire::BackendWire;

/// Which connections can be used for each other: those that go to the same target in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The target.
    pub target: Tally,
    /// What else tells apart how it is reached, and for whom: the addresses of what says so.
    pub by: [usize; 3],
    /// The name that is asked for in TLS, where the request says which.
    pub name: Option<Box<str>>,
}

/// Connections to backends.
pub struct Pool {
    /// By worker; beside them one for a worker that there is none of.
    shards: Box<[Shard]>,
    spare: Shard,
    /// The number of the next one.
    next: AtomicU64,
    retired: AtomicBool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle()).finish_non_exhaustive()
    }
}

/// Those that are idle.
type Shard = Mutex<HashMap<Place, Vec<Idle>>>;

struct Idle {
    number: u64,
    sender: SendRequest<Upload>,
    link: Arc<Link>,
    uses: u64,
    keep: KeepOptions,
}

/// A connection that was just made, to be kept.
#[derive(Debug)]
pub struct Made<B> {
    /// Its entry, in the phase [`Dial`](Phase::Dial).
    pub conn: ConnGuard,
    /// The connection, TLS and all.
    pub stream: B,
    /// Its place among the target's connections.
    pub permit: Permit,
    /// Where it is kept.
    pub place: Place,
    /// By which worker.
    pub worker: usize,
}

impl Pool {
    /// A pool of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..workers).map(|_| Mutex::default()).collect(),
            spare: Mutex::default(),
            next: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        })
    }

    /// One that is idle, the latest used first: those that are not needed are left to their deadline.
    #[must_use]
    pub fn take(self: &Arc<Self>, worker: usize, place: &Place) -> Option<Lease> {
        let mut shard = self.shard(worker).lock();
        let idle = shard.get_mut(place)?;
        let found = std::iter::from_fn(|| idle.pop()).find(|one| one.link.take());
        if idle.is_empty() {
            shard.remove(place);
        }
        drop(shard);
        let Idle { number, sender, link, uses, keep } = found?;
        let at = At { pool: Arc::clone(self), worker, place: place.clone(), number };
        Some(Lease { sender: Some(sender), link, at, uses, keep, upload: None })
    }

    /// Takes a connection on: it has its own task from here on, and the lease is for its first request.
    ///
    /// # Errors
    /// Where it cannot be spoken HTTP over.
    pub async fn adopt<B: Stream + Unpin + 'static>(
        self: &Arc<Self>,
        made: Made<B>,
        keep: &KeepOptions,
        options: &Options,
    ) -> Result<Lease, Fault> {
        let Made { conn, stream, permit, place, worker } = made;
        let conn = Arc::new(conn);
        let wire = BackendWire { conn: Arc::clone(&conn), stream, ended: false, lost: None };
        let handshake = http1::Builder::new().handshake(wire).await;
        let (sender, connection) = handshake.map_err(|error| {
            let fault = Fault::of_backend(&error);
            conn.end(fault.cause.during(conn.phase()), Some(fault.detail.clone()));
            fault
        })?;
        let now = Instant::now();
        let tenth = keep.lifetime.get() / 10;
        let lifetime = keep.lifetime.get().saturating_sub(tenth.mul_f64(fastrand::f64()));
        let waits =
            Waits { idle: keep.idle.get(), silence: options.longest_silence(), retire_at: now + lifetime };
        if let Err(end) = conn.enter(Phase::Idle, now + waits.silence, DeadlineKind::KeepAlive) {
            return Err(Fault::new(end.cause, "it has no phase to be kept in"));
        }
        let link = Arc::<Link>::default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = At { pool: Arc::clone(self), worker, place, number };
        let (of_lease, to) = (Arc::clone(&link), at.clone());
        let lease =
            Lease { sender: Some(sender), link: of_lease, at: to, uses: 0, keep: *keep, upload: None };
        link.take();
        let kept = Kept { connection, link, permit, conn, waits };
        spawn(kept, at);
        Ok(lease)
    }

    /// How many are idle.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.all().map(|shard| shard.lock().values().map(Vec::len).sum::<usize>()).sum()
    }

    /// Keeps none any more: those that are idle are closed in order, the others when their request is done.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        for shard in self.all() {
            let all = std::mem::take(&mut *shard.lock());
            all.into_values().flatten().for_each(|one| one.link.end(Fate::Retired));
        }
    }

    /// Closes the idle connections of one place in order.
    pub fn close(&self, worker: usize, place: &Place) {
        let all = self.shard(worker).lock().remove(place).unwrap_or_default();
        all.into_iter().for_each(|one| one.link.end(Fate::Retired));
    }

    fn shard(&self, worker: usize) -> &Shard {
        self.shards.get(worker).unwrap_or(&self.spare)
    }

    fn all(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().chain([&self.spare])
    }

    /// Forgets one whose task has let go.
    fn forget(&self, worker: usize, place: &Place, number: u64) {
        let mut shard = self.shard(worker).lock();
        let Some(idle) = shard.get_mut(place) else { return };
        idle.retain(|one| one.number != number);
        if idle.is_empty() {
            shard.remove(place);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection that outlives its request has a task that owns it"
)]
fn spawn<B: Stream + Unpin + 'static>(kept: Kept<B>, at: At) {
    tokio::spawn(async move {
        kept.keep().await;
        at.pool.forget(at.worker, &at.place, at.number);
    });
}

/// Where a connection is kept while it is idle.
#[derive(Debug, Clone)]
struct At {
    pool: Arc<Pool>,
    worker: usize,
    place: Place,
    number: u64,
}

/// The use of one connection, for one request. Dropped before its answer has come whole, the connection is reset.
#[derive(Debug)]
pub struct Lease {
    /// None once it is given back.
    sender: Option<SendRequest<Upload>>,
    link: Arc<Link>,
    at: At,
    /// Requests before this one.
    uses: u64,
    keep: KeepOptions,
    /// Whether the body of its request has gone; None where it has none.
    upload: Option<Arc<AtomicBool>>,
}

/// A request that got no answer.
#[derive(Debug)]
pub struct Unsent {
    /// Why.
    pub fault: Fault,
    /// The request itself, where nothing of it was sent: it may be sent again, whatever it is.
    pub request: Option<Request<Upload>>,
}

impl Lease {
    /// Whether it was used before: its backend may have ended it meanwhile.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.uses > 0
    }

    /// Whether its backend has ended it, or its task has let go of it otherwise.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.link.is_gone()
    }

    /// What went wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.link.fault()
    }

    /// Sends a request; its answer, of which the body may be still to come. Dropped, the request is abandoned with the lease.
    ///
    /// # Errors
    /// [`Unsent`].
    pub async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, Unsent> {
        let Some(sender) = &mut self.sender else {
            return Err(Unsent { fault: Fault::new(Cause::Aborted, "given back"), request: Some(request) });
        };
        // One that was given back when its answer was whole may have its last turn to come.
        if sender.ready().await.is_err() {
            let fault = self.link.fault();
            let fault = fault.unwrap_or_else(|| Fault::new(Cause::BackendReset, "the backend closed it"));
            return Err(Unsent { fault, request: Some(request) });
        }
        self.upload = request.body().sent();
        if request.headers().contains_key(UPGRADE) {
            self.link.asks_to_switch();
        }
        sender.try_send_request(request).await.map_err(|mut error| {
            let request = error.take_message();
            Unsent { fault: Fault::of_backend(error.error()), request }
        })
    }

    /// The connection itself, behind an answer that switches to another protocol: waits until its task has let go of it.
    pub async fn switched<B: Send + 'static>(self) -> Option<Tunnel<B>> {
        let released = self.link.wait_released().await?;
        released.downcast().ok().map(|tunnel: Box<Tunnel<B>>| *tunnel)
    }

    /// Gives it back: its answer has come whole.
    pub(crate) fn give_back(mut self) {
        let Some(sender) = self.sender.take() else { return };
        if self.link.is_gone() {
            return;
        }
        if self.upload.take().is_some_and(|sent| !sent.load(Ordering::Acquire)) {
            // Its answer came before all of its request had gone: what is left of that is no next request.
            self.link.end(Fate::Abandoned);
            return;
        }
        let At { pool, worker, place, number } = &self.at;
        let uses = self.uses + 1;
        let most = self.keep.requests.unwrap_or(u64::MAX);
        let worn = uses >= most || sender.is_closed() || pool.retired.load(Ordering::Acquire);
        let mut shard = pool.shard(*worker).lock();
        let full =
            shard.get(place).map_or(0, Vec::len) >= self.keep.most_idle || self.keep.idle.get() < LEAST;
        if worn || full {
            drop(shard);
            self.link.give_back(Fate::Retired);
            return;
        }
        let link = Arc::clone(&self.link);
        let one = Idle { number: *number, sender, link, uses, keep: self.keep };
        shard.entry(place.clone()).or_default().push(one);
        drop(shard);
        self.link.give_back(Fate::Kept);
        // Its task may have let go between the two, and has forgotten it then before it was here.
        if self.link.is_gone() {
            pool.forget(*worker, place, *number);
        }
    }
}

/// One that is kept for less is not kept.
const LEAST: Duration = Duration::from_millis(2);

impl Drop for Lease {
    fn drop(&mut self) {
        if self.sender.is_some() {
            self.link.end(Fate::Abandoned);
        }
    }
}
