//! The watch of the control plane: how hard pressed each pool is, and what is done about it.
//!
//! It looks once a second, and four times while some pool is pressed: what was short is there again when somebody leaves. It is
//! off the workers: it reads atomics and `/proc`, and tells the workers the result through one atomic a pool. What it ends, it
//! ends as an operator would: by a cancel with a reason.

mod crowd;
mod heap;
mod places;
mod relief;
mod seen;
mod story;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use proxy_conn::overload::Usage;
use proxy_conn::{Level, Overload, Phase, PoolId, Readings, Tracked};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{trace, warn};

use crate::generation::Generation;
use crate::pool::Pool;

use crowd::Crowd;
use heap::Heap;
use places::Places;
use relief::relieve;
use seen::{Process, Seen};
use story::Story;

/// How often it looks, and walks connections at the most: often enough that a flood is met within a small part of any
/// deadline, rarely enough that a hundred thousand connections cost a few percent of one core.
const EVERY: Duration = Duration::from_secs(1);

/// How often it looks while some pool is pressed. Half a second after a shortage is over nobody should be turned away for it.
const PRESSED: Duration = Duration::from_millis(250);

/// A look that is so late found the process standing still (stopped, or its machine was), and workers have not read yet what
/// came meanwhile: who seems to have been silent may not have been.
const LATE: Duration = Duration::from_secs(1);

/// Watches the pools of the generation in force until `stop`. What it needs for that it has from the call on: later there may be
/// no descriptor left, and what the process holds before it serves anybody is seen before it does.
pub fn watch<D>(
    in_force: Arc<ArcSwap<Generation<D>>>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<D> {
    let mut watch = Watch::new(in_force.load().settings.max_memory.is_some());
    async move {
        loop {
            let walked = watch.look(&in_force.load_full());
            let pause = if watch.is_pressed() { PRESSED } else { EVERY };
            trace!(walked, "watch: looked");
            let due = Instant::now() + pause;
            if stop.run_until_cancelled(tokio::time::sleep_until(due)).await.is_none() {
                return;
            }
            // Once in a row: on a machine that is always so busy somebody has to be ended at last.
            watch.stood_still = !watch.stood_still && due.elapsed() > LATE;
        }
    }
}

/// What is kept from one look to the next.
struct Watch<D> {
    breakers: Vec<Breaker>,
    crowd: Crowd,
    heap: Heap,
    places: Places,
    /// The generation that the breakers are of.
    watched: Option<Arc<Generation<D>>>,
    /// The one before it, until it is gone.
    before: Option<Weak<Generation<D>>>,
    /// Whether it was said that the process itself takes most of `max_memory`.
    warned: bool,
    /// When connections were last walked to see where they are.
    walked: Option<Instant>,
    /// How many had been opened and how many were open when all had their backend; `None` where some had none yet.
    still: Option<(u64, usize)>,
    /// Whether this look is late by so much that nobody's silence can be judged by it.
    stood_still: bool,
}

impl<D> Watch<D> {
    /// Of a process whose memory is bounded or not, and that has served nobody yet.
    fn new(bounded: bool) -> Self {
        Self {
            breakers: Vec::new(),
            crowd: Crowd::default(),
            heap: Heap::new(bounded),
            places: Places::default(),
            watched: None,
            before: None,
            warned: false,
            walked: None,
            still: None,
            stood_still: false,
        }
    }

    /// Looks at the process and at every pool, and acts; how many connections had to be walked for it.
    ///
    /// They are walked when some may not be as they were seen last, and when some may have to be ended. A level alone is
    /// no reason: its deadlines are the workers' business.
    fn look(&mut self, proxy: &Arc<Generation<D>>) -> usize {
        let now = Instant::now();
        proxy.forget_names();
        self.follow(proxy, now);
        let process = self.process(proxy, now);
        let walk = OnceCell::new();
        let connections = || walk.get_or_init(|| proxy.tracker.connections());
        // While nobody comes or goes, and all have their backend, they are as they were seen.
        let counts = (proxy.tracker.opened(), proxy.tracker.len());
        let lately = self.walked.is_some_and(|walked| now.saturating_duration_since(walked) < EVERY);
        if self.still != Some(counts) && !lately {
            self.still = self.see(connections()).then_some(counts);
            self.walked = Some(now);
        }
        let waits = u64::from(proxy.capacity.was_wanted());
        for (pool, breaker) in proxy.pools.iter().zip(&mut self.breakers) {
            breaker.wanted += waits + pool.was_wanted_by();
            let wanted = breaker.wanted + pool.limit.waiting() as u64;
            let readings = breaker.seen.readings(pool, &process, wanted);
            breaker.observe(pool, &readings, now);
            pool.saw(process.descriptors);
            if !self.stood_still && breaker.overload.most_victims(pool.limit.in_use()) > 0 {
                breaker.wanted = 0;
                relieve(pool, &mut breaker.overload, connections());
            }
        }
        self.places.tell(proxy.capacity.view(), now);
        let walked = walk.into_inner().map_or(0, |walked| walked.len());
        // Last, when nothing is held here any more.
        if self.crowd.has_gone(proxy.tracker.len()) {
            self.heap.give_back(now);
        }
        walked
    }

    /// Whether some pool is not as it should be.
    fn is_pressed(&self) -> bool {
        self.breakers.iter().any(|breaker| breaker.overload.level() > Level::Normal)
    }

    /// Has a breaker for each pool of `proxy`.
    fn follow(&mut self, proxy: &Arc<Generation<D>>, now: Instant) {
        if self.watched.as_ref().is_some_and(|watched| Arc::ptr_eq(watched, proxy)) {
            return;
        }
        self.breakers = followed(&proxy.pools, std::mem::take(&mut self.breakers));
        if let Some(before) = self.watched.replace(Arc::clone(proxy)) {
            self.before = Some(Arc::downgrade(&before));
            self.heap.changes(now);
        }
        (self.still, self.walked, self.warned) = (None, None, false);
    }

    /// What there is to see of the process. What the last generation has left of memory is given back.
    fn process(&mut self, proxy: &Arc<Generation<D>>, now: Instant) -> Process {
        let passed = self.before.as_ref().is_none_or(|before| before.strong_count() == 0);
        if passed && self.before.take().is_some() {
            self.heap.give_back(now);
        }
        let under_way = proxy.preparing.is_under_way();
        if under_way {
            self.heap.prepares(now);
        }
        let most = proxy.settings.max_memory.unwrap_or(0);
        let memory = if most > 0 {
            self.heap.usage(most, proxy.tracker.len(), passed && !under_way, now)
        } else {
            Usage::default()
        };
        self.warn(proxy, memory);
        Process { descriptors: seen::descriptors(proxy), memory }
    }

    /// Says so where the process itself is near the bound, whose room is then hardly one for connections.
    fn warn(&mut self, proxy: &Generation<D>, memory: Usage) {
        let tight = |pool: &Pool| Usage::new(memory.own, memory.limit).reaches(pool.overload.memory_tight);
        if !self.warned && self.heap.is_settled() && proxy.pools.iter().any(tight) {
            self.warned = true;
            let (own, most) = (memory.own >> 20, memory.limit >> 20);
            warn!(
                "max_memory is {most} MiB, and {own} MiB are allocated without any connection: raise it, or it is no bound for these"
            );
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
            let id = one.pool();
            if let Some(breaker) = self.breakers.iter_mut().find(|breaker| Some(breaker.id) == id) {
                breaker.seen.add(phase, one.in_phase(now));
            }
        }
        settled
    }
}

/// A pool's breaker, and what it was last shown.
struct Breaker {
    pool: Arc<str>,
    /// What the tracker knows the pool by.
    id: PoolId,
    overload: Overload,
    seen: Seen,
    /// How many were turned away since somebody was last ended for them.
    wanted: u64,
    story: Story,
}

impl Breaker {
    /// Takes in what there is to see, and tells the workers what it came to.
    fn observe(&mut self, pool: &Pool, readings: &Readings, now: Instant) {
        let change = self.overload.observe(readings, now);
        self.story.tell(&pool.name, change, pool.overload.least_stay.get(), now);
        let pressure = self.overload.pressure();
        pool.pressure.store(pressure);
        if pressure.level == Level::Normal {
            self.wanted = 0;
        }
    }
}

/// The breakers of `pools`; those that had one before keep it, at its level.
fn followed(pools: &[Pool], mut before: Vec<Breaker>) -> Vec<Breaker> {
    let breaker = |pool: &Pool| match before.iter().position(|one| one.pool == pool.name) {
        Some(n) => {
            let mut known = before.swap_remove(n);
            known.overload.reconfigure(pool.overload);
            Breaker { id: pool.id, ..known }
        }
        None => Breaker {
            pool: Arc::clone(&pool.name),
            id: pool.id,
            overload: Overload::new(pool.overload),
            seen: Seen::default(),
            wanted: 0,
            story: Story::default(),
        },
    };
    pools.iter().map(breaker).collect()
}
