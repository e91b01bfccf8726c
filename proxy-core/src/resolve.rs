//! Names to addresses, off the workers: cached, one look-up in flight for a name, stale answers when the resolver is down.
//!
//! The look-up itself is by the hosts file and the name servers of `resolv.conf` (`dns`), so many at one time (`lookups`). An answer
//! is kept for as long as its records say and the options let it, until all its addresses have failed, or one of those files has
//! changed.
//!
//! ```text
//! fresh ──ttl, doubt, or a file──► expired ──look-up──► fresh
//!                   │                           └── there is no such name ──► forgotten
//!                   └── fails, or takes longer than `GRACE` ──► stale: served until `stale`, tried again every `RETRY`
//! ```

mod answer;
mod dns;
mod lookups;
mod order;
mod services;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::Bound;
use crate::late::grace;
use answer::{Family, Found};
use dns::Dns;
use lookups::Lookups;
use order::Laggards;

pub use answer::ResolveError;
pub use dns::DnsOptions;
pub use services::{Service, Services};

/// More sockets than these are never planned for look-ups, of which each has two: one for each family.
pub const MOST_LOOK_UPS: usize = 192;

/// How long an answer is fresh of which nobody says how long it is good.
const UNSAID: Duration = Duration::from_secs(30);

/// How often hosts file and `resolv.conf` are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After a failed look-up the next one waits this long, so that a resolver that is down is not hammered and dials
/// do not each wait for it.
const RETRY: Duration = Duration::from_secs(2);

/// With a stale answer at hand the new one is waited for only this long: a dial needs the rest of its time to connect.
/// A resolver nearby answers in a few milliseconds, one far away in some tens.
const GRACE: Duration = Duration::from_millis(100);

/// Where all addresses of an answer have failed, nothing is gained by using it again, so the new one is waited for longer; but
/// never for more than half of the time there is.
const GRACE_IN_DOUBT: Duration = Duration::from_secs(1);

/// Services that are looked up at one time: each takes a socket. Nobody waits for them but a loop in the background.
const SERVICES_AT_ONCE: usize = 16;

/// However often all addresses of an answer fail, the name is looked up again only so often.
const DOUBTED_AGAIN: Duration = Duration::from_secs(1);

/// How a [`Resolver`] keeps answers.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ResolverOptions {
    /// How long an answer is fresh at most; less where its records say so.
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
        Self { ttl: Bound::secs(300), timeout: Bound::secs(5), stale: Bound::secs(3600), capacity: 1024 }
    }
}

proxy_values::setters!(ResolverOptions { ttl: Bound, timeout: Bound, stale: Bound, capacity: usize });

type Answer = Result<Arc<[IpAddr]>, ResolveError>;
type LookupFuture = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
type FoundFuture = Pin<Box<dyn Future<Output = Result<Found, ResolveError>> + Send>>;
type Lookup = dyn Fn(Box<str>) -> FoundFuture + Send + Sync;
type ServicesFuture = Pin<Box<dyn Future<Output = Result<Services, ResolveError>> + Send>>;
type ServicesLookup = dyn Fn(Box<str>) -> ServicesFuture + Send + Sync;

/// A cache of names. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    names: Mutex<HashMap<Box<str>, Name>>,
    lookup: Box<Lookup>,
    services: Box<ServicesLookup>,
    /// Places of those.
    services_at_once: Semaphore,
    /// Where look-ups run. None: in no runtime, answers are only what `lookup` has at once.
    runtime: Handle,
    options: Mutex<ResolverOptions>,
    laggards: Laggards,
    /// How often what look-ups go by has changed.
    epoch: AtomicU64,
}

/// What is known of one name.
#[derive(Default)]
struct Name {
    /// The last good answer.
    good: Option<Good>,
    /// Whether all addresses of that answer have failed.
    doubted: bool,
    /// Whether what it was looked up by has changed since.
    is_outdated: bool,
    /// The last failure and when.
    bad: Option<(ResolveError, Instant)>,
    /// The look-up in flight, for all who wait for it.
    flight: Option<watch::Receiver<Option<Answer>>>,
}

/// An answer, when it was looked up, and how long it was said to be good.
struct Good {
    addrs: Arc<[IpAddr]>,
    at: Instant,
    ttl: Option<Duration>,
    /// The family whose addresses are of an earlier answer, and when that was.
    carried: Option<(Family, Instant)>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("options", &*self.shared.options.lock()).finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver that goes by the system's hosts file and `resolv.conf`, on `runtime`, with so many sockets as long as servers
    /// answer (but always a few).
    #[must_use]
    pub fn system(runtime: Handle, sockets: usize, options: ResolverOptions) -> Self {
        Self::dns(runtime, sockets, options, DnsOptions::default())
    }

    /// The same by other files, or other name servers.
    #[must_use]
    pub fn dns(runtime: Handle, sockets: usize, options: ResolverOptions, by: DnsOptions) -> Self {
        let dns = Arc::new(Dns::new(by));
        let asks = Arc::clone(&dns);
        let most = sockets.min(MOST_LOOK_UPS) / 2;
        let lookups = Lookups::new(runtime.clone(), most, move |name| dns::asking(&asks, name));
        let (here, serves) = (Arc::clone(&dns), Arc::clone(&dns));
        let lookup = move |name: Box<str>| -> FoundFuture {
            match here.here(&name) {
                Some(found) => Box::pin(std::future::ready(Ok(found))),
                None => Box::pin(lookups.ask(name)),
            }
        };
        let services = move |name: Box<str>| -> ServicesFuture {
            let dns = Arc::clone(&serves);
            Box::pin(async move { dns.services(&name).await })
        };
        let resolver = Self::of(runtime, options, lookup, services);
        resolver.watch(dns);
        resolver
    }

    /// Looks at the files for as long as the resolver lives; where one has changed, all names are looked up again.
    fn watch(&self, dns: Arc<Dns>) {
        let shared = Arc::downgrade(&self.shared);
        drop(self.shared.runtime.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(shared) = shared.upgrade() else { return };
                if dns.look_at_files() {
                    Self { shared }.outdate();
                }
            }
        }));
    }

    /// What look-ups go by has changed: no answer is fresh any more.
    fn outdate(&self) {
        let mut names = self.shared.names.lock();
        self.shared.epoch.fetch_add(1, Ordering::Relaxed);
        for name in names.values_mut() {
            (name.is_outdated, name.bad) = (true, None);
        }
    }

    /// A resolver that asks `lookup`, on `runtime`. It knows no services.
    pub fn new<F>(runtime: Handle, options: ResolverOptions, lookup: F) -> Self
    where
        F: Fn(Box<str>) -> LookupFuture + Send + Sync + 'static,
    {
        let lookup = move |name| -> FoundFuture {
            let looking_up = lookup(name);
            Box::pin(async {
                let failed = |error: std::io::Error| ResolveError::Failed(error.to_string().into());
                looking_up.await.map(Found::from).map_err(failed)
            })
        };
        let none = || ResolveError::NoAddress("no service is known here".into());
        Self::of(runtime, options, lookup, move |_| Box::pin(std::future::ready(Err(none()))))
    }

    fn of<F, S>(runtime: Handle, options: ResolverOptions, lookup: F, services: S) -> Self
    where
        F: Fn(Box<str>) -> FoundFuture + Send + Sync + 'static,
        S: Fn(Box<str>) -> ServicesFuture + Send + Sync + 'static,
    {
        let names = Mutex::new(HashMap::new());
        let options = Mutex::new(options);
        let (laggards, epoch) = (Laggards::default(), AtomicU64::new(0));
        let (lookup, services) = (Box::new(lookup), Box::new(services));
        let services_at_once = Semaphore::new(SERVICES_AT_ONCE);
        Self {
            shared: Arc::new(Shared {
                names,
                lookup,
                services,
                services_at_once,
                runtime,
                options,
                laggards,
                epoch,
            }),
        }
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
            (Err(ResolveError::Failed(_) | ResolveError::TimedOut), Some(stale)) => Ok(stale),
            (answer, _) => answer,
        }
    }

    /// Looks up the servers of a service now. The answer is not kept here: it says for how long the caller may, which is no longer
    /// than the options have it. Cancel-safe: dropped, the look-up is over.
    ///
    /// # Errors
    /// [`ResolveError::NoAddress`] where who answers says that there are none; else whoever was asked has said nothing of it.
    pub async fn services(&self, name: &str) -> Result<Services, ResolveError> {
        // INVARIANT: nobody closes the semaphore.
        let _place = self.shared.services_at_once.acquire().await;
        let options = *self.shared.options.lock();
        let looking_up = (self.shared.services)(name.into());
        let found = within(options.timeout.get(), looking_up).await;
        let mut services = found.unwrap_or(Err(ResolveError::TimedOut))?;
        services.ttl = services.ttl.min(options.ttl.get());
        Ok(services)
    }

    /// For how long what is kept for `name` is fresh yet; zero where that is stale, or nothing is kept.
    #[must_use]
    pub fn fresh_for(&self, name: &str) -> Duration {
        let (now, options) = (Instant::now(), *self.shared.options.lock());
        let names = self.shared.names.lock();
        names.get(name).and_then(|name| name.fresh_for(now, &options)).unwrap_or_default()
    }

    /// How often what look-ups go by (the hosts file, the name servers) has changed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Ordering::Relaxed)
    }

    /// All addresses of this answer for `name` have failed: the name is looked up again the next time that it is wanted, at
    /// most once a second.
    pub(crate) fn doubt(&self, name: &str, answer: &Arc<[IpAddr]>) {
        if let Some(entry) = self.shared.names.lock().get_mut(name)
            && entry.good.as_ref().is_some_and(|good| Arc::ptr_eq(&good.addrs, answer))
        {
            entry.doubted = true;
        }
    }

    /// All addresses of a name have failed: it is looked up again the next time that it is wanted, at most once a second.
    pub fn doubt_all(&self, name: &str) {
        if let Some(entry) = self.shared.names.lock().get_mut(name) {
            entry.doubted = entry.good.is_some();
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
        let stale = entry.good.as_ref().filter(|good| now.duration_since(good.at) < options.stale.get());
        let stale = stale.map(|good| Stale { addrs: Arc::clone(&good.addrs), doubted: entry.doubted });
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
            let epoch = this.shared.epoch.load(Ordering::Relaxed);
            let looked_up = (this.shared.lookup)(name.clone());
            let timeout = this.shared.options.lock().timeout.get();
            let found = match within(timeout, looked_up).await {
                None => Err(ResolveError::TimedOut),
                Some(Ok(found)) if found.addrs.is_empty() => {
                    Err(ResolveError::NoAddress("the name has no address".into()))
                }
                Some(found) => found,
            };
            land.send_replace(Some(this.land(&name, found, epoch)));
        });
        flight
    }

    /// Keeps what was found; what there is to say to those who wait for it.
    fn land(&self, name: &str, found: Result<Found, ResolveError>, epoch: u64) -> Answer {
        let (now, stale) = (Instant::now(), self.shared.options.lock().stale.get());
        let mut names = self.shared.names.lock();
        let Some(entry) = names.get_mut(name) else { return found.map(|found| found.addrs.into()) };
        entry.flight = None;
        entry.is_outdated = epoch != self.shared.epoch.load(Ordering::Relaxed);
        match found {
            Ok(found) => Ok(entry.keep(found, now, stale)),
            Err(error) => {
                // Who says that there is none knows; who says nothing does not.
                if matches!(error, ResolveError::NoAddress(_)) {
                    entry.good = None;
                }
                entry.bad = Some((error.clone(), now));
                Err(error)
            }
        }
    }
}

impl Name {
    /// The answer, if nothing speaks against it.
    fn fresh(&self, now: Instant, options: &ResolverOptions) -> Option<Arc<[IpAddr]>> {
        self.fresh_for(now, options).and_then(|_| Some(Arc::clone(&self.good.as_ref()?.addrs)))
    }

    /// For how long it is fresh yet, which is never no time; None where it is not.
    fn fresh_for(&self, now: Instant, options: &ResolverOptions) -> Option<Duration> {
        let good = self.good.as_ref().filter(|_| !self.is_outdated)?;
        let ttl = good.ttl.unwrap_or(UNSAID).min(options.ttl.get());
        let lasts = if self.doubted { ttl.min(DOUBTED_AGAIN) } else { ttl };
        lasts.checked_sub(now.duration_since(good.at)).filter(|left| !left.is_zero())
    }

    /// Keeps what was found, and of a family of which nothing was heard what is known of it.
    fn keep(&mut self, found: Found, now: Instant, stale: Duration) -> Arc<[IpAddr]> {
        let Found { mut addrs, ttl, unheard } = found;
        let mut carried = None;
        if let (Some(family), Some(before)) = (unheard, &self.good) {
            let since = before.carried.filter(|(of, _)| *of == family).map_or(before.at, |(_, since)| since);
            if now.duration_since(since) < stale {
                addrs.extend(before.addrs.iter().filter(|ip| family.has(ip)));
                carried = Some((family, since));
            }
        }
        let addrs: Arc<[IpAddr]> = addrs.into();
        self.good = Some(Good { addrs: Arc::clone(&addrs), at: now, ttl, carried });
        (self.bad, self.doubted) = (None, false);
        addrs
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
        idle.min_by_key(|(_, name)| name.good.as_ref().map(|good| good.at)).map(|(key, _)| key.clone());
    if let Some(key) = oldest {
        names.remove(&key);
    }
}

#[cfg(test)]
mod tests;
