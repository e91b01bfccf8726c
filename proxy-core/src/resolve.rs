//! Names to addresses, off the workers: cached, one look-up in flight for a name, stale answers when the resolver is down.
//!
//! The look-up itself is the system's (`getaddrinfo`, so `/etc/hosts` and `nsswitch.conf` hold), run on a runtime of the
//! caller's choice. The system tells no time to live, so answers are kept for a configured one.
//!
//! ```text
//! fresh ──ttl──► expired ──look-up──► fresh
//!                   └── fails, or takes longer than `GRACE` ──► stale: served until `stale`, tried again every `RETRY`
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bound::Bound;

/// After a failed look-up the next one waits this long, so that a resolver that is down is not hammered and dials
/// do not each wait for it.
const RETRY: Duration = Duration::from_secs(2);

/// With a stale answer at hand the new one is waited for only this long: a dial needs the rest of its time to connect.
/// A resolver nearby answers in a few milliseconds, one far away in some tens.
const GRACE: Duration = Duration::from_millis(100);

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The resolver said no, or failed.
    #[error("cannot be resolved: {0}")]
    Failed(Arc<str>),
    /// It did not answer in time.
    #[error("cannot be resolved: no answer from the resolver in time")]
    TimedOut,
}

/// How a [`Resolver`] keeps answers.
#[derive(Debug, Clone, Copy)]
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
}

/// What is known of one name.
struct Name {
    /// The last good answer and when it was looked up.
    good: Option<(Arc<[IpAddr]>, Instant)>,
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
    /// A resolver that asks the system, on `runtime`.
    #[must_use]
    pub fn system(runtime: Handle, options: ResolverOptions) -> Self {
        Self::new(runtime, options, |name| {
            Box::pin(async move {
                // The port is not looked at; `lookup_host` runs getaddrinfo on the runtime's blocking threads.
                let addrs = tokio::net::lookup_host((&*name, 0)).await?;
                Ok(addrs.map(|addr: SocketAddr| addr.ip().to_canonical()).collect())
            })
        })
    }

    /// A resolver that asks `lookup`, on `runtime`.
    pub fn new<F>(runtime: Handle, options: ResolverOptions, lookup: F) -> Self
    where
        F: Fn(Box<str>) -> LookupFuture + Send + Sync + 'static,
    {
        let names = Mutex::new(HashMap::new());
        let options = Mutex::new(options);
        Self { shared: Arc::new(Shared { names, lookup: Box::new(lookup), runtime, options }) }
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
        let (flight, stale) = match self.known(name) {
            Known::Now(answer) => return answer,
            Known::After(flight, stale) => (flight, stale),
        };
        let patience = if stale.is_some() { patience.min(GRACE) } else { patience };
        let answer =
            tokio::time::timeout(patience, landed(flight)).await.unwrap_or(Err(ResolveError::TimedOut));
        match (answer, stale) {
            (Err(_), Some(stale)) => Ok(stale),
            (answer, _) => answer,
        }
    }

    /// What the cache can say of `name`, starting a look-up where one is due.
    fn known(&self, name: &str) -> Known {
        let (now, options) = (Instant::now(), *self.shared.options.lock());
        let mut names = self.shared.names.lock();
        if !names.contains_key(name) {
            make_room(&mut names, options.capacity);
        }
        let entry = names.entry(name.into()).or_insert(Name { good: None, bad: None, flight: None });
        let usable = |(_, at): &&(Arc<[IpAddr]>, Instant), age: Bound| now.duration_since(*at) < age.get();
        if let Some((addrs, _)) = entry.good.as_ref().filter(|good| usable(good, options.ttl)) {
            return Known::Now(Ok(Arc::clone(addrs)));
        }
        let stale = entry
            .good
            .as_ref()
            .filter(|good| usable(good, options.stale))
            .map(|(addrs, _)| Arc::clone(addrs));
        if let Some((error, _)) = entry.bad.as_ref().filter(|(_, at)| now.duration_since(*at) < RETRY) {
            return Known::Now(stale.ok_or_else(|| error.clone()));
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
            let answer = match tokio::time::timeout(timeout, looked_up).await {
                Err(_) => Err(ResolveError::TimedOut),
                Ok(Err(error)) => Err(ResolveError::Failed(error.to_string().into())),
                Ok(Ok(addrs)) if addrs.is_empty() => {
                    Err(ResolveError::Failed("the name has no address".into()))
                }
                Ok(Ok(addrs)) => Ok(addrs.into()),
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
                Ok(addrs) => (entry.good, entry.bad) = (Some((Arc::clone(addrs), now)), None),
                Err(error) => entry.bad = Some((error.clone(), now)),
            }
        }
    }
}

enum Known {
    Now(Answer),
    After(watch::Receiver<Option<Answer>>, Option<Arc<[IpAddr]>>),
}

async fn landed(mut flight: watch::Receiver<Option<Answer>>) -> Answer {
    let answer = flight.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    answer.unwrap_or_else(|| Err(ResolveError::Failed("the look-up was abandoned".into())))
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
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LONG: Duration = Duration::from_secs(60);

    /// A look-up that takes a second, counts, and fails while `down` is set.
    fn scripted(down: &Arc<Mutex<bool>>) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, down) = (Arc::clone(&asked), Arc::clone(down));
        let resolver = Resolver::new(Handle::current(), ResolverOptions::default(), move |_| {
            let n = count.fetch_add(1, Ordering::Relaxed);
            let down = *down.lock();
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if down {
                    Err(std::io::ErrorKind::HostUnreachable.into())
                } else {
                    Ok(vec![[10, 0, 0, u8::try_from(n).unwrap()].into()])
                }
            })
        });
        (resolver, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_up_serves_all_who_ask_at_once_and_later() {
        let (resolver, asked) = scripted(&Arc::default());
        let (a, b) = tokio::join!(resolver.resolve("a.test", LONG), resolver.resolve("a.test", LONG));
        assert_eq!(a, b);
        assert_eq!(resolver.resolve("a.test", LONG).await, a);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(resolver.resolve("a.test", LONG).await, a, "fresh until its ttl");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(resolver.resolve("a.test", LONG).await, a, "looked up again after it, and meanwhile");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_ne!(resolver.resolve("a.test", LONG).await, a, "the new one from then on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_answer_is_served_while_the_resolver_is_down() {
        let down = Arc::new(Mutex::new(false));
        let (resolver, asked) = scripted(&down);
        let good = resolver.resolve("a.test", LONG).await;
        *down.lock() = true;
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert_eq!(resolver.resolve("a.test", LONG).await, good);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, started) = (asked.load(Ordering::Relaxed), Instant::now());
        assert_eq!(resolver.resolve("a.test", LONG).await, good);
        assert_eq!(
            started.elapsed(),
            Duration::ZERO,
            "a dial does not wait again for a resolver that just failed"
        );
        assert_eq!(asked.load(Ordering::Relaxed), before);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(resolver.resolve("a.test", LONG).await.is_err(), "not for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_answer_is_not_kept_back_for_a_slow_look_up() {
        let (resolver, asked) = scripted(&Arc::default());
        let good = resolver.resolve("a.test", LONG).await;
        tokio::time::sleep(Duration::from_secs(31)).await;
        for (patience, waits) in [(10, 10), (100, 100), (60_000, 100)] {
            let started = Instant::now();
            assert_eq!(resolver.resolve("a.test", Duration::from_millis(patience)).await, good);
            assert_eq!(started.elapsed().as_millis(), waits);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_ne!(resolver.resolve("a.test", LONG).await, good, "the look-up went on");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_asked() {
        let (resolver, _) = scripted(&Arc::default());
        let started = Instant::now();
        let answer = resolver.resolve("a.test", Duration::from_millis(500)).await;
        assert_eq!((answer, started.elapsed().as_millis()), (Err(ResolveError::TimedOut), 500));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            resolver.resolve("a.test", Duration::from_millis(1)).await.is_ok(),
            "the look-up landed all the same"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_cache_is_bounded() {
        let (resolver, _) = scripted(&Arc::default());
        let small = ResolverOptions { capacity: 2, ..ResolverOptions::default() };
        let resolver = Resolver::new(Handle::current(), small, move |name| {
            let resolver = resolver.clone();
            Box::pin(async move { Ok(resolver.resolve(&name, LONG).await.unwrap().to_vec()) })
        });
        for n in 0..5 {
            resolver.resolve(&format!("{n}.test"), LONG).await.unwrap();
        }
        assert_eq!(resolver.shared.names.lock().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn other_options_hold_for_what_is_cached_already() {
        let (resolver, asked) = scripted(&Arc::default());
        resolver.resolve("a.test", LONG).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        resolver.set_options(ResolverOptions { ttl: Bound::secs(5), ..ResolverOptions::default() });
        resolver.resolve("a.test", LONG).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2, "ten seconds are too old now");
    }

    #[tokio::test]
    async fn the_system_resolver_knows_localhost() {
        let resolver = Resolver::system(Handle::current(), ResolverOptions::default());
        assert!(resolver.resolve("localhost", LONG).await.unwrap().iter().all(IpAddr::is_loopback));
    }
}
