//! Names to addresses, off the workers: cached, one look-up in flight for a name, stale answers when the resolver is down.
//!
//! The look-up itself is the system's (`getaddrinfo`, so `/etc/hosts` and `nsswitch.conf` hold), on threads of its own
//! (`lookups`), of which there are never more than so many. The system tells no time to live, so answers are kept for a
//! configured one, or until all their addresses have failed.
//!
//! ```text
//! fresh ──ttl, or doubt──► expired ──look-up──► fresh
//!                   └── fails, or takes longer than `GRACE` ──► stale: served until `stale`, tried again every `RETRY`
//! ```

mod lookups;
mod order;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Bound;
use crate::late::grace;
use lookups::Lookups;
use order::Laggards;

/// More look-ups than these never run at once, each on a thread. Names that nobody answers for, begun at the pace at which they
/// are, take 158 in thirty seconds: glibc's longest wait, with three name servers.
pub const MOST_LOOK_UPS: usize = 192;

/// After a failed look-up the next one waits this long, so that a resolver that is down is not hammered and dials
/// do not each wait for it.
const RETRY: Duration = Duration::from_secs(2);

/// With a stale answer at hand the new one is waited for only this long: a dial needs the rest of its time to connect.
/// A resolver nearby answers in a few milliseconds, one far away in some tens.
const GRACE: Duration = Duration::from_millis(100);

/// Where all addresses of an answer have failed, nothing is gained by using it again, so the new one is waited for longer; but
/// never for more than half of the time there is.
const GRACE_IN_DOUBT: Duration = Duration::from_secs(1);

/// However often all addresses of an answer fail, the name is looked up again only so often.
const DOUBTED_AGAIN: Duration = Duration::from_secs(1);

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The resolver said no, or failed.
    #[error("the name cannot be resolved: {0}")]
    Failed(Arc<str>),
    /// It did not answer in time.
    #[error("the name cannot be resolved: no answer from the resolver in time")]
    TimedOut,
}

/// How a [`Resolver`] keeps answers.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ResolverOptions {
    /// How long an answer is fresh.
    pub ttl: Bound,
    /// How long one look-up may take.
    pub timeout: Bound,
    /// How long after it was looked up an answer may still be served when look-ups fail.
    pub stale: Bound,
    /// Names kept; the least recently looked-up one makes room.
    pub capacity: usize,
}

impl Default for ResolverOptions {
    fn default() -> Self {
        Self { ttl: Bound::secs(30), timeout: Bound::secs(5), stale: Bound::secs(3600), capacity: 1024 }
    }
}

proxy_values::setters!(ResolverOptions { ttl: Bound, timeout: Bound, stale: Bound, capacity: usize });

type Answer = Result<Arc<[IpAddr]>, ResolveError>;
type LookupFuture = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
type Lookup = dyn Fn(Box<str>) -> LookupFuture + Send + Sync;

/// A cache of names. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    names: Mutex<HashMap<Box<str>, Name>>,
    lookup: Box<Lookup>,
    /// Where look-ups run. None: in no runtime, answers are only what `lookup` has at once.
    runtime: Handle,
    options: Mutex<ResolverOptions>,
    laggards: Laggards,
}

/// What is known of one name.
#[derive(Default)]
struct Name {
    /// The last good answer and when it was looked up.
    good: Option<(Arc<[IpAddr]>, Instant)>,
    /// Whether all addresses of that answer have failed.
    doubted: bool,
    /// The last failure and when.
    bad: Option<(ResolveError, Instant)>,
    /// The look-up in flight, for all who wait for it.
    flight: Option<watch::Receiver<Option<Answer>>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("options", &*self.shared.options.lock()).finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver that asks the system, on threads of its own, of which there are so many at most (but always a few); `runtime`
    /// keeps its time.
    #[must_use]
    pub fn system(runtime: Handle, threads: usize, options: ResolverOptions) -> Self {
        let lookups = Lookups::new(threads.min(MOST_LOOK_UPS), lookups::getaddrinfo);
        Self::new(runtime, options, move |name| {
            let looked_up = lookups.ask(name);
            Box::pin(looked_up)
        })
    }

    /// A resolver that asks `lookup`, on `runtime`.
    pub fn new<F>(runtime: Handle, options: ResolverOptions, lookup: F) -> Self
    where
        F: Fn(Box<str>) -> LookupFuture + Send + Sync + 'static,
    {
        let names = Mutex::new(HashMap::new());
        let options = Mutex::new(options);
        let (lookup, laggards) = (Box::new(lookup), Laggards::default());
        Self { shared: Arc::new(Shared { names, lookup, runtime, options, laggards }) }
    }

    /// Takes other options, as a reload does. Answers that are kept are judged by the new ones from now on.
    pub fn set_options(&self, options: ResolverOptions) {
        *self.shared.options.lock() = options;
    }

    /// A resolver that knows just these names: for tests and for configurations without names.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn fixed<const N: usize>(names: [(&'static str, IpAddr); N]) -> Self {
        Self::new(Handle::current(), ResolverOptions::default(), move |name| {
            let found: Vec<IpAddr> =
                names.iter().filter(|(known, _)| **known == *name).map(|(_, ip)| *ip).collect();
            Box::pin(async move { Ok(found) })
        })
    }

    /// The addresses of `name`, never empty, waiting at most `patience`, or a moment where there is a stale answer to fall
    /// back on. Cancel-safe; the look-up goes on for others.
    ///
    /// # Errors
    /// [`ResolveError`] where there is no address, not even a stale one.
    pub async fn resolve(&self, name: &str, patience: Duration) -> Answer {
        let (flight, stale, patience) = match self.known(name) {
            Known::Now(answer) => return answer,
            Known::After(flight, None) => (flight, None, patience),
            Known::After(flight, Some(Stale { addrs, doubted: false })) => {
                (flight, Some(addrs), patience.min(GRACE))
            }
            Known::After(flight, Some(Stale { addrs, doubted: true })) => {
                (flight, Some(addrs), (patience / 2).min(GRACE_IN_DOUBT))
            }
        };
        let answer = within(patience, landed(flight)).await;
        let answer = answer.unwrap_or(Err(ResolveError::TimedOut));
        match (answer, stale) {
            (Err(_), Some(stale)) => Ok(stale),
            (answer, _) => answer,
        }
    }

    /// All addresses of this answer for `name` have failed: the name is looked up again the next time that it is wanted, at
    /// most once a second.
    pub(crate) fn doubt(&self, name: &str, answer: &Arc<[IpAddr]>) {
        if let Some(entry) = self.shared.names.lock().get_mut(name)
            && entry.good.as_ref().is_some_and(|(addrs, _)| Arc::ptr_eq(addrs, answer))
        {
            entry.doubted = true;
        }
    }

    /// The addresses of a name in the order in which they are to be tried: as they were answered, but by turns of each family,
    /// and those last that lagged lately.
    pub(crate) fn order(&self, addrs: &[IpAddr], port: u16) -> SmallVec<[SocketAddr; 1]> {
        self.shared.laggards.order(addrs, port, Instant::now())
    }

    /// One of several addresses of a name failed, or had not answered when another one did.
    pub(crate) fn lags(&self, addr: SocketAddr) {
        self.shared.laggards.lags(addr, Instant::now());
    }

    /// One of several addresses of a name has answered.
    pub(crate) fn answers(&self, addr: SocketAddr) {
        self.shared.laggards.answers(addr);
    }

    /// What the cache can say of `name`, starting a look-up where one is due.
    fn known(&self, name: &str) -> Known {
        let (now, options) = (Instant::now(), *self.shared.options.lock());
        let mut names = self.shared.names.lock();
        if !names.contains_key(name) {
            make_room(&mut names, options.capacity);
        }
        let entry = names.entry(name.into()).or_default();
        if let Some(addrs) = entry.fresh(now, &options) {
            return Known::Now(Ok(addrs));
        }
        let stale = entry.good.as_ref().filter(|(_, at)| now.duration_since(*at) < options.stale.get());
        let stale = stale.map(|(addrs, _)| Stale { addrs: Arc::clone(addrs), doubted: entry.doubted });
        if let Some((error, _)) = entry.bad.as_ref().filter(|(_, at)| now.duration_since(*at) < RETRY) {
            return Known::Now(stale.map(|stale| stale.addrs).ok_or_else(|| error.clone()));
        }
        let flight = match &entry.flight {
            Some(flight) => flight.clone(),
            None => entry.flight.insert(self.start(name)).clone(),
        };
        Known::After(flight, stale)
    }

    /// Starts a look-up. It lands in the cache and tells all who wait for it.
    fn start(&self, name: &str) -> watch::Receiver<Option<Answer>> {
        let (land, flight) = watch::channel(None);
        let (this, name) = (self.clone(), Box::<str>::from(name));
        self.shared.runtime.spawn(async move {
            let looked_up = (this.shared.lookup)(name.clone());
            let timeout = this.shared.options.lock().timeout.get();
            let answer = match within(timeout, looked_up).await {
                None => Err(ResolveError::TimedOut),
                Some(Err(error)) => Err(ResolveError::Failed(error.to_string().into())),
                Some(Ok(addrs)) if addrs.is_empty() => {
                    Err(ResolveError::Failed("the name has no address".into()))
                }
                Some(Ok(addrs)) => Ok(addrs.into()),
            };
            this.land(&name, &answer);
            land.send_replace(Some(answer));
        });
        flight
    }

    fn land(&self, name: &str, answer: &Answer) {
        let now = Instant::now();
        if let Some(entry) = self.shared.names.lock().get_mut(name) {
            entry.flight = None;
            match answer {
                Ok(addrs) => {
                    (entry.good, entry.bad) = (Some((Arc::clone(addrs), now)), None);
                    entry.doubted = false;
                }
                Err(error) => entry.bad = Some((error.clone(), now)),
            }
        }
    }
}

impl Name {
    /// The answer, if nothing speaks against it.
    fn fresh(&self, now: Instant, options: &ResolverOptions) -> Option<Arc<[IpAddr]>> {
        let (addrs, at) = self.good.as_ref()?;
        let lasts = if self.doubted { options.ttl.get().min(DOUBTED_AGAIN) } else { options.ttl.get() };
        (now.duration_since(*at) < lasts).then(|| Arc::clone(addrs))
    }
}

/// An answer that is too old, or in doubt.
struct Stale {
    addrs: Arc<[IpAddr]>,
    doubted: bool,
}

enum Known {
    Now(Answer),
    After(watch::Receiver<Option<Answer>>, Option<Stale>),
}

async fn landed(mut flight: watch::Receiver<Option<Answer>>) -> Answer {
    let answer = flight.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    answer.unwrap_or_else(|| Err(ResolveError::Failed("the look-up was abandoned".into())))
}

/// What `future` comes to within `patience`, or a moment later where this process stood still when that was over: who looks names
/// up did so as well. Cancel-safe if the future is.
async fn within<F: Future>(patience: Duration, future: F) -> Option<F::Output> {
    let (began, mut future) = (Instant::now(), pin!(future));
    match tokio::time::timeout(patience, &mut future).await {
        Ok(output) => Some(output),
        Err(_) => tokio::time::timeout(grace(began.elapsed().saturating_sub(patience))?, future).await.ok(),
    }
}

/// Forgets the name whose last answer is oldest (never one in flight) when there is no room for another.
fn make_room(names: &mut HashMap<Box<str>, Name>, capacity: usize) {
    if names.len() < capacity {
        return;
    }
    let idle = names.iter().filter(|(_, name)| name.flight.is_none());
    let oldest =
        idle.min_by_key(|(_, name)| name.good.as_ref().map(|(_, at)| *at)).map(|(key, _)| key.clone());
    if let Some(key) = oldest {
        names.remove(&key);
    }
}

#[cfg(test)]
mod tests;
