//! All connections, counted in one pass: by phase, pool, listener, route and target.
//!
//! A pass looks at each connection once and copies nothing but references, so a hundred thousand take some tens of
//! milliseconds of the admin thread, and none of a worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::histogram::Bounds;
use proxy_conn::{Phase, PoolId, Tracked, Tracker};
use tokio::time::Instant;

use super::view::secs;
use crate::model::{AgeBucket, Phases};

/// How many of the oldest connections are remembered.
const OLDEST: usize = 20;

/// What connections have in common that belong to one thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) phases: Phases,
    pub(super) oldest: Option<Duration>,
    pub(super) from_client: u64,
    pub(super) from_backend: u64,
}

impl Group {
    fn add(&mut self, phase: Phase, age: Duration, (from_client, from_backend): (u64, u64)) {
        self.phases.add(phase);
        self.oldest = self.oldest.max(Some(age));
        self.from_client = self.from_client.saturating_add(from_client);
        self.from_backend = self.from_backend.saturating_add(from_backend);
    }
}

/// The count.
#[derive(Debug)]
pub(super) struct Census {
    /// When it was taken.
    pub(super) at: Instant,
    /// All of them.
    pub(super) all: Group,
    /// By the number of the pool; those whose pool is not known yet are in none.
    pub(super) pools: HashMap<PoolId, Phases>,
    /// Those whose pool is not known yet.
    pub(super) poolless: Phases,
    pub(super) listeners: HashMap<Arc<str>, u64>,
    pub(super) routes: HashMap<Arc<str>, Group>,
    /// By target, by route: those that dial it or have it.
    pub(super) targets: HashMap<Arc<str>, HashMap<Arc<str>, u64>>,
    /// How many are at most so old, and older than the bound before; the last has no bound.
    ages: Vec<u64>,
    /// The oldest, the oldest first.
    pub(super) oldest: Vec<Tracked>,
}

impl Census {
    /// Counts the connections of `tracker`.
    pub(super) fn take(tracker: &Tracker) -> Self {
        let (connections, at) = (tracker.connections(), Instant::now());
        let mut census = Self {
            at,
            all: Group::default(),
            pools: HashMap::new(),
            poolless: Phases::default(),
            listeners: HashMap::new(),
            routes: HashMap::new(),
            targets: HashMap::new(),
            ages: vec![0; Bounds::MILLIS.as_slice().len() + 1],
            oldest: Vec::new(),
        };
        for one in &connections {
            census.add(one);
        }
        census.oldest = oldest(connections, at);
        census
    }

    fn add(&mut self, one: &Tracked) {
        let view = one.view(self.at);
        let (phase, age, bytes) = (view.phase, view.age, (view.from_client, view.from_backend));
        self.all.add(phase, age, bytes);
        match view.pool {
            Some(pool) => self.pools.entry(pool).or_default().add(phase),
            None => self.poolless.add(phase),
        }
        *self.listeners.entry(view.listener).or_default() += 1;
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let bucket = Bounds::MILLIS.as_slice().partition_point(|bound| *bound < millis);
        self.ages.iter_mut().skip(bucket).take(1).for_each(|count| *count += 1);
        let Some(route) = view.facts.route else { return };
        if let Some(target) = view.facts.target {
            *self.targets.entry(Arc::clone(&route)).or_default().entry(target).or_default() += 1;
        }
        self.routes.entry(route).or_default().add(phase, age, bytes);
    }

    /// How old they are.
    pub(super) fn ages(&self) -> Vec<AgeBucket> {
        let bounds = Bounds::MILLIS.as_slice().iter().map(|ms| Some(secs(Duration::from_millis(*ms))));
        let bucket = |(at_most_s, connections): (Option<f64>, &u64)| AgeBucket {
            at_most_s,
            connections: *connections,
        };
        bounds.chain([None]).zip(&self.ages).map(bucket).collect()
    }
}

fn oldest(mut connections: Vec<Tracked>, at: Instant) -> Vec<Tracked> {
    let older = |one: &Tracked| std::cmp::Reverse(one.age(at));
    if connections.len() > OLDEST {
        connections.select_nth_unstable_by_key(OLDEST, older);
        connections.truncate(OLDEST);
    }
    connections.sort_by_key(older);
    connections
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::{ConnGuard, DeadlineKind, Opening};
    use proxy_core::PeerAddr;

    fn open(tracker: &Arc<Tracker>, route: Option<&str>) -> ConnGuard {
        let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
        let guard = tracker.open(0, Opening::new(peer, "*:80"));
        if let Some(route) = route {
            guard.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
            guard.join(PoolId::new(1).unwrap(), false);
            guard.learn(|facts| {
                facts.route = Some(route.into());
                facts.target = Some("127.0.0.1:3000".into());
            });
        }
        guard
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_counted_once_where_it_belongs() {
        let tracker = Tracker::new(2, ());
        let mut open_ones = vec![open(&tracker, Some("a"))];
        tokio::time::advance(Duration::from_secs(2)).await;
        open_ones.extend((0..30).map(|_| open(&tracker, Some("b"))));
        open_ones.push(open(&tracker, None));
        tokio::time::advance(Duration::from_secs(7)).await;
        let census = Census::take(&tracker);
        assert_eq!(census.all.phases, Phases { header: 1, dial: 31, ..Phases::default() });
        assert_eq!(census.all.phases.total(), 32);
        assert_eq!((census.pools[&PoolId::new(1).unwrap()].dial, census.poolless.header), (31, 1));
        assert_eq!(census.listeners["*:80"], 32);
        assert_eq!((census.routes["a"].phases.dial, census.routes["b"].phases.dial), (1, 30));
        assert_eq!(census.routes["a"].oldest, Some(Duration::from_secs(9)));
        assert_eq!(census.targets["b"]["127.0.0.1:3000"], 30);
        assert_eq!(census.oldest.len(), OLDEST);
        assert_eq!(census.oldest[0].id(), open_ones[0].id());
        let ages = census.ages();
        assert_eq!(ages.iter().map(|bucket| bucket.connections).sum::<u64>(), 32);
        assert_eq!(ages.iter().find(|bucket| bucket.connections > 0).unwrap().at_most_s, Some(10.0));
        assert_eq!(ages.last().unwrap().at_most_s, None);
    }
}
