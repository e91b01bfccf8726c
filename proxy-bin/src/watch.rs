//! The watch of the control plane: how hard pressed each pool is, and what is done about it.
//!
//! It looks once a second, off the workers: it reads atomics and `/proc`, and tells the workers the result through one
//! atomic a pool. What it ends, it ends as an operator would: by a cancel with a reason.

mod crowd;
mod seen;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proxy_conn::overload::Candidate;
use proxy_conn::{Overload, Phase, Readings, Reason, Tracked};
use proxy_core::memory;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, trace, warn};

use crate::pool::Pool;
use crate::proxy::Proxy;

use crowd::Crowd;
use seen::{Process, Seen};

/// How often it looks: often enough that a flood is met within a small part of any deadline, rarely enough that a hundred
/// thousand connections cost a few percent of one core.
const EVERY: Duration = Duration::from_secs(1);

/// Watches the pools of the generation in force until `stop`.
pub(crate) async fn watch<D>(in_force: Arc<ArcSwap<Proxy<D>>>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let walked = watch.look(&in_force.load_full());
        trace!(walked, "watch: looked");
    }
}

/// What is kept from one look to the next.
struct Watch<D> {
    breakers: Vec<Breaker>,
    crowd: Crowd,
    /// The generation that the breakers are of.
    watched: Option<Arc<Proxy<D>>>,
    /// How many had been opened and how many were open when all had their backend; `None` where some had none yet.
    still: Option<(u64, usize)>,
}

impl<D> Default for Watch<D> {
    fn default() -> Self {
        Self { breakers: Vec::new(), crowd: Crowd::default(), watched: None, still: None }
    }
}

impl<D> Watch<D> {
    /// Looks at the process and at every pool, and acts; how many connections had to be walked for it.
    ///
    /// They are walked when some may not be as they were seen last, and when some may have to be ended. A level alone is
    /// no reason: its deadlines are the workers' business.
    fn look(&mut self, proxy: &Arc<Proxy<D>>) -> usize {
        self.follow(proxy);
        let process = Process::read(proxy);
        let walk = OnceCell::new();
        let connections = || walk.get_or_init(|| proxy.tracker.connections());
        // While nobody comes or goes, and all have their backend, they are as they were seen.
        let counts = (proxy.tracker.opened(), proxy.tracker.len());
        if self.still != Some(counts) {
            self.still = self.see(connections()).then_some(counts);
        }
        for (pool, breaker) in proxy.pools.iter().zip(&mut self.breakers) {
            let readings = breaker.seen.readings(pool, &process);
            observe(pool, &mut breaker.overload, &readings);
            if breaker.overload.most_victims(breaker.seen.connections) > 0 {
                relieve(pool, &mut breaker.overload, connections());
            }
        }
        let walked = walk.into_inner().map_or(0, |walked| walked.len());
        // Last, when nothing is held here any more.
        if self.crowd.has_gone(proxy.tracker.len()) {
            memory::release();
        }
        walked
    }

    /// Has a breaker for each pool of `proxy`.
    fn follow(&mut self, proxy: &Arc<Proxy<D>>) {
        if !self.watched.as_ref().is_some_and(|watched| Arc::ptr_eq(watched, proxy)) {
            self.breakers = followed(&proxy.pools, std::mem::take(&mut self.breakers));
            (self.watched, self.still) = (Some(Arc::clone(proxy)), None);
        }
    }

    /// Takes in where `connections` are; whether all have their backend. Whoever has none yet may have no pool yet either,
    /// and is in no pool's count.
    fn see(&mut self, connections: &[Tracked]) -> bool {
        let now = Instant::now();
        for breaker in &mut self.breakers {
            breaker.seen = Seen::default();
        }
        let mut settled = true;
        for one in connections {
            // Read once: who gets on meanwhile must not be both counted in dial and taken for settled.
            let phase = one.phase();
            settled &= phase >= Phase::Relay;
            let number = one.pool();
            if let Some(breaker) = self.breakers.iter_mut().find(|breaker| Some(breaker.number) == number) {
                breaker.seen.add(phase, one.in_phase(now));
            }
        }
        settled
    }
}

/// A pool's breaker, and what it was last shown.
struct Breaker {
    pool: Arc<str>,
    /// The pool's number in the tracker.
    number: u8,
    overload: Overload,
    seen: Seen,
}

/// The breakers of `pools`; those that had one before keep it, at its level.
fn followed(pools: &[Pool], mut before: Vec<Breaker>) -> Vec<Breaker> {
    let breaker = |pool: &Pool| match before.iter().position(|one| one.pool == pool.name) {
        Some(n) => {
            let mut known = before.swap_remove(n);
            known.overload.reconfigure(pool.overload);
            Breaker { number: pool.number, ..known }
        }
        None => Breaker {
            pool: Arc::clone(&pool.name),
            number: pool.number,
            overload: Overload::new(pool.overload),
            seen: Seen::default(),
        },
    };
    pools.iter().map(breaker).collect()
}

/// Shows a pool's breaker what there is to see, and tells the workers what it came to.
fn observe(pool: &Pool, breaker: &mut Overload, readings: &Readings) {
    if let Some(change) = breaker.observe(readings, Instant::now()) {
        if change.to > change.from {
            warn!(pool = %pool.name, from = %change.from, to = %change.to, signal = %change.signal, "overload: {change}");
        } else {
            info!(pool = %pool.name, from = %change.from, to = %change.to, signal = %change.signal, "overload: {change}");
        }
    }
    pool.pressure.store(breaker.pressure());
}

/// Ends the pool's connections of least use, among all `connections`.
fn relieve(pool: &Pool, breaker: &mut Overload, connections: &[Tracked]) {
    let now = Instant::now();
    let mortal = connections.iter().filter(|one| one.pool() == Some(pool.number) && !one.is_immortal());
    let candidates: Vec<_> = mortal.clone().map(|one| candidate(one, now)).collect();
    let victims = breaker.victims(&candidates);
    if victims.is_empty() {
        return;
    }
    let chosen: HashSet<_> = victims.iter().map(|victim| victim.id).collect();
    let ended = mortal.filter(|one| chosen.contains(&one.id()) && one.cancel(Reason::Overload)).count();
    warn!(pool = %pool.name, ended, "overload: ended the connections of least use");
}

fn candidate(one: &Tracked, now: Instant) -> Candidate {
    let (from_client, from_backend) = one.bytes();
    Candidate {
        id: one.id(),
        phase: one.phase(),
        idle: one.idle(now),
        moved: from_client.saturating_add(from_backend),
    }
}
