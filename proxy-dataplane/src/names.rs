//! Members that are found by name: names are looked up when their answers are no longer good, and groups told of who is a member.
//!
//! ```text
//!  generation in force ─► names of its groups ─► due? ─► look-up (control runtime) ─► members ─► Group::follow ─► Departures
//!                            TTL over, /etc/resolv.conf or hosts changed, all members failed
//! ```
//! A name that two groups have is looked up once for both. An answer without members, and none at all, change nothing: the members
//! stay those of the last answer that had some.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::{Mutex, MutexGuard};
use proxy_core::Resolver;
use proxy_core::resolve::ResolveError;
use proxy_upstream::{Discovery, Found, Group};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::departures::Departures;
use crate::generation::{Generation, OfMember, Removed};

/// How often it is looked whether an answer is no longer good, or all members of a name have failed. Nothing is looked at where no
/// group has a name.
const EVERY: Duration = Duration::from_millis(250);

/// After a look-up that failed the next one waits so long, as for any name.
const RETRY: Duration = Duration::from_secs(2);

/// The same after an answer that there are no members, which is not likely to be another one soon.
const RETRY_NONE: Duration = Duration::from_secs(5);

/// However often all members of a name fail, it is looked up again only so often.
const DOUBTED_AGAIN: Duration = Duration::from_secs(1);

/// What the loop goes by. One for all generations.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Told when another generation is in force.
    told: Notify,
    /// Held while a generation takes force, and while groups of the one in force are told of members.
    alone: Mutex<()>,
}

impl Names {
    /// For as long as the result is held, no group is told of members: another generation takes force.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock()
    }

    /// Another generation is in force.
    pub(crate) fn tell(&self) {
        self.told.notify_one();
    }
}

/// Members, and how long they are good.
type Answer = Result<(Vec<Found>, Duration), ResolveError>;

/// Looks up the names of whatever generation is in force, until `stop`.
pub(crate) async fn run<D>(
    in_force: Arc<ArcSwap<Generation<D>>>,
    names: Arc<Names>,
    departures: Arc<Departures>,
    stop: CancellationToken,
) {
    let mut desk = Desk { in_force, names, departures, known: HashMap::new() };
    let looking = async {
        let mut flights = FuturesUnordered::new();
        loop {
            for (name, resolver) in desk.due(Instant::now()) {
                flights.push(async move {
                    let answer = look_up(&resolver, &name).await;
                    (name, answer)
                });
            }
            let pause = if desk.known.is_empty() { Duration::MAX } else { EVERY };
            tokio::select! {
                Some((name, answer)) = flights.next() => desk.land(&name, answer),
                () = desk.names.told.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    };
    stop.run_until_cancelled(looking).await.unwrap_or(());
}

async fn look_up(resolver: &Resolver, name: &Discovery) -> Answer {
    match name {
        Discovery::Services(service) => {
            let services = resolver.services(service).await?;
            Ok((Found::of_services(&services.servers), services.ttl))
        }
        Discovery::Addresses(host, port) => {
            let addrs = resolver.resolve(host, Duration::MAX).await?;
            // One that is stale was just looked up in vain.
            let ttl = Some(resolver.fresh_for(host)).filter(|ttl| !ttl.is_zero()).unwrap_or(RETRY);
            Ok((Found::of_addresses(&addrs, *port), ttl))
        }
        _ => Ok((Vec::new(), RETRY_NONE)),
    }
}

/// The names, and when each is due.
struct Desk<D> {
    in_force: Arc<ArcSwap<Generation<D>>>,
    names: Arc<Names>,
    departures: Arc<Departures>,
    known: HashMap<Discovery, Due>,
}

/// When a name is looked up again.
#[derive(Debug)]
struct Due {
    at: Instant,
    last: Instant,
    /// By which files it was looked up ([`Resolver::epoch`]).
    epoch: u64,
    in_flight: bool,
    /// Whether the last look-up came to nothing, which was said.
    has_failed: bool,
}

impl<D> Desk<D> {
    /// The names to look up now.
    fn due(&mut self, now: Instant) -> Vec<(Discovery, Resolver)> {
        let proxy = self.in_force.load_full();
        let mut wanted: HashMap<&Discovery, bool> = HashMap::new();
        for (group, nth, name) in names(&proxy) {
            *wanted.entry(name).or_default() |= group.has_failed(nth);
        }
        self.known.retain(|name, due| due.in_flight || wanted.contains_key(name));
        let epoch = proxy.resolver.epoch();
        let mut due = Vec::new();
        for (name, all_failed) in wanted {
            let known = self.known.entry(name.clone()).or_insert_with(|| Due::now(now));
            let is_doubted = all_failed && now.duration_since(known.last) >= DOUBTED_AGAIN;
            if known.in_flight || (known.at > now && known.epoch == epoch && !is_doubted) {
                continue;
            }
            if is_doubted && let Discovery::Addresses(host, _) = name {
                proxy.resolver.doubt_all(host);
            }
            (known.in_flight, known.epoch) = (true, epoch);
            due.push((name.clone(), proxy.resolver.clone()));
        }
        due
    }

    /// A look-up has come to its end.
    fn land(&mut self, name: &Discovery, answer: Answer) {
        let now = Instant::now();
        let (answer, again) = match answer {
            Ok((found, ttl)) if !found.is_empty() => (Ok(found), ttl),
            Ok(_) => (Err("the answer has no members".to_owned()), RETRY_NONE),
            Err(error @ ResolveError::NoAddress(_)) => (Err(error.to_string()), RETRY_NONE),
            Err(error) => (Err(error.to_string()), RETRY),
        };
        if let Some(due) = self.known.get_mut(name) {
            (due.at, due.last, due.in_flight) = (now + again, now, false);
            let had_failed = std::mem::replace(&mut due.has_failed, answer.is_err());
            match &answer {
                Err(why) if !had_failed => {
                    warn!(%name, "members are not found by name: {why}; those that there are stay");
                }
                Ok(_) if had_failed => info!(%name, "members are found by name again"),
                Ok(_) | Err(_) => {}
            }
        }
        self.tell(name, &answer);
    }

    /// Tells the groups that have the name.
    fn tell(&self, name: &Discovery, answer: &Result<Vec<Found>, String>) {
        let mut removed = Vec::new();
        {
            let _alone = self.names.alone();
            let proxy = self.in_force.load_full();
            for (group, nth, _) in names(&proxy).filter(|(.., of)| *of == name) {
                match answer {
                    Ok(found) => removed.push((Arc::clone(group), follow(group, nth, found.clone()))),
                    Err(why) => group.was_not_found(nth, why),
                }
            }
        }
        for (group, gone) in removed {
            self.departures.see_off(gone, group.options().health.drain_for.get());
        }
    }
}

impl Due {
    fn now(now: Instant) -> Self {
        Self { at: now, last: now, epoch: 0, in_flight: false, has_failed: false }
    }
}

/// Each name of each group, with its place there.
fn names<D>(proxy: &Generation<D>) -> impl Iterator<Item = (&Arc<Group>, usize, &Discovery)> {
    proxy.groups().flat_map(|group| {
        group.options().names.iter().enumerate().map(move |(nth, name)| (group, nth, &name.name))
    })
}

/// Gives a group the members of one of its names; who is none any more.
fn follow(group: &Arc<Group>, nth: usize, found: Vec<Found>) -> Vec<Removed> {
    let before = group.members().len();
    let gone = group.follow(nth, found);
    let after = group.members().len();
    let added = (after + gone.len()).saturating_sub(before);
    if added + gone.len() > 0 {
        let name = group.options().names.get(nth).map(|name| name.name.to_string()).unwrap_or_default();
        info!(group = %group.name(), name, added, removed = gone.len(), members = after, "members were found by name");
    }
    let removed = |member| Removed {
        of: OfMember::new(member),
        group: Arc::clone(group.name()),
        on_removed: group.options().on_removed,
    };
    gone.into_iter().map(removed).collect()
}
