//! All connections, counted in one pass: by phase, pool, listener, route and target.
//!
//! A pass looks at each connection once and copies nothing but references, so a hundred thousand take some tens of
//! milliseconds of the admin thread, and none of a worker.

use std::collections::HashMap;
use std::time::Duration;

use proxy_conn::histogram::Bounds;
use proxy_conn::{ConnView, DeadlineKind, Phase, PoolId, Tally, Tracked, Tracker};
use tokio::time::Instant;

use super::view::secs;
use proxy_api::model::{AgeBucket, Phases};

/// How many of the oldest connections are remembered.
const OLDEST: usize = 20;

/// What connections have in common that belong to one thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) phases: Phases,
    /// Of those in dial, how many wait for a place.
    pub(super) waiting: u64,
    /// Of those in dial, how many are told that there is none.
    pub(super) turned_away: u64,
    pub(super) oldest: Option<Duration>,
    pub(super) from_client: u64,
    pub(super) from_backend: u64,
}

impl Group {
    fn add(&mut self, one: &ConnView) {
        self.phases[one.phase] += 1;
        match (one.phase, one.deadline) {
            (Phase::Dial, DeadlineKind::Queue) => self.waiting += 1,
            (Phase::Dial, DeadlineKind::Leave) => self.turned_away += 1,
            _ => {}
        }
        self.oldest = self.oldest.max(Some(one.age));
        self.from_client = self.from_client.saturating_add(one.from_client);
        self.from_backend = self.from_backend.saturating_add(one.from_backend);
    }

    /// Those that have a place in it, or do not need one yet.
    pub(super) fn open(&self) -> u64 {
        self.phases.total() - self.waiting - self.turned_away
    }
}

/// The count.
#[derive(Debug)]
pub(super) struct Counts {
    /// When it was taken.
    pub(super) at: Instant,
    /// All of them.
    pub(super) all: Group,
    /// By the number of the pool; those whose pool is not known yet are in none.
    pub(super) pools: HashMap<PoolId, Group>,
    /// Those whose pool is not known yet.
    pub(super) poolless: Phases,
    pub(super) listeners: HashMap<Tally, Group>,
    pub(super) routes: HashMap<Tally, Group>,
    /// By target, by route: those that dial it or have it.
    pub(super) targets: HashMap<Tally, HashMap<Tally, u64>>,
    /// How many are at most so old, and older than the bound before; the last has no bound.
    ages: Vec<u64>,
    /// The oldest, the oldest first.
    pub(super) oldest: Vec<Tracked>,
}

impl Counts {
    /// Counts the connections of `tracker`.
    pub(super) fn take(tracker: &Tracker) -> Self {
        let (connections, at) = (tracker.connections(), Instant::now());
        let mut counts = Self {
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
            counts.add(one);
        }
        counts.oldest = oldest(connections, at);
        counts
    }

    fn add(&mut self, one: &Tracked) {
        let view = one.view(self.at);
        self.all.add(&view);
        match view.pool {
            Some(pool) => self.pools.entry(pool).or_default().add(&view),
            None => self.poolless[view.phase] += 1,
        }
        self.listeners.entry(view.listener.clone()).or_default().add(&view);
        let millis = u64::try_from(view.age.as_millis()).unwrap_or(u64::MAX);
        let bucket = Bounds::MILLIS.as_slice().partition_point(|bound| *bound < millis);
        self.ages.iter_mut().skip(bucket).take(1).for_each(|count| *count += 1);
        let Some(route) = view.facts.route.as_ref() else { return };
        if let Some(target) = &view.facts.target {
            *self.targets.entry(route.clone()).or_default().entry(target.clone()).or_default() += 1;
        }
        self.routes.entry(route.clone()).or_default().add(&view);
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
    use std::sync::Arc;

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
        let counts = Counts::take(&tracker);
        assert_eq!(counts.all.phases, Phases::from([(Phase::Header, 1), (Phase::Dial, 31)]));
        assert_eq!(counts.all.phases.total(), 32);
        assert_eq!(
            (counts.pools[&PoolId::new(1).unwrap()].phases[Phase::Dial], counts.poolless[Phase::Header]),
            (31, 1)
        );
        assert_eq!(counts.listeners["*:80"].open(), 32);
        assert_eq!((counts.routes["a"].phases[Phase::Dial], counts.routes["b"].phases[Phase::Dial]), (1, 30));
        assert_eq!(counts.routes["a"].oldest, Some(Duration::from_secs(9)));
        assert_eq!(counts.targets["b"]["127.0.0.1:3000"], 30);
        assert_eq!(counts.oldest.len(), OLDEST);
        assert_eq!(counts.oldest[0].id(), open_ones[0].id());
        let ages = counts.ages();
        assert_eq!(ages.iter().map(|bucket| bucket.connections).sum::<u64>(), 32);
        assert_eq!(ages.iter().find(|bucket| bucket.connections > 0).unwrap().at_most_s, Some(10.0));
        assert_eq!(ages.last().unwrap().at_most_s, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_place_is_not_among_those_that_are_open() {
        let tracker = Tracker::new(1, ());
        let all: Vec<_> = (0..7).map(|_| open(&tracker, Some("a"))).collect();
        for (guard, kind) in all.iter().zip([DeadlineKind::Queue, DeadlineKind::Queue, DeadlineKind::Leave]) {
            guard.deadline(Instant::now(), kind);
        }
        let counts = Counts::take(&tracker);
        for group in [&counts.routes["a"], &counts.listeners["*:80"], &counts.pools[&PoolId::new(1).unwrap()]]
        {
            assert_eq!((group.open(), group.waiting, group.turned_away), (4, 2, 1));
            assert_eq!(group.phases[Phase::Dial], 7);
        }
    }
}
