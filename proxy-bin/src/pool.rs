//! A pool isolates: its flood does not touch another's connections.

use std::sync::Arc;

use parking_lot::Mutex;
use proxy_conn::overload::{Refusal, Signal};
use proxy_conn::{Deadlines, LevelCell, Limit, OverloadOptions, Tracker};
use proxy_core::Bound;

use crate::config::{AtLimit, PoolConfig};
use crate::descriptors;
use crate::proxy::limit;

/// Below this many places one connection more or less is a step of over 5 %, the distance from "shed" to "full": a breaker
/// would flap or refuse who still fits.
const FEWEST: usize = 20;

/// A pool of connections: its limit, and how hard pressed it is.
#[derive(Debug)]
pub struct Pool {
    /// Its name in logs and metrics.
    pub name: Arc<str>,
    /// Its number in the tracker, for as long as the process lives.
    pub number: u8,
    /// Its connections, and how many it may have.
    pub limit: Limit,
    /// What happens at the limit.
    pub at_limit: AtLimit,
    /// How hard pressed it is, as the watch last saw it.
    pub pressure: Arc<LevelCell>,
    /// When it counts as overloaded.
    pub overload: OverloadOptions,
    /// Against how many connections its breaker looks: its own limit, else the process's. 0 where there are too few for
    /// shares of them to mean anything; the limit itself holds all the same.
    pub watched: usize,
}

impl Pool {
    /// A pool in a process that may have `most` connections; it goes on counting where `before` is.
    #[must_use]
    pub fn new(config: &PoolConfig, number: u8, most: usize, before: Option<&Self>) -> Self {
        let own = config.max_connections.map(|most| most.get() as usize);
        Self {
            name: Arc::clone(&config.name),
            number,
            limit: before.map_or_else(|| limit(config.max_connections), |before| before.limit.clone()),
            at_limit: config.at_limit,
            pressure: before.map(|before| Arc::clone(&before.pressure)).unwrap_or_default(),
            overload: config.overload,
            watched: Some(own.map_or(most, |own| own.min(most))).filter(|most| *most >= FEWEST).unwrap_or(0),
        }
    }

    /// Why a new connection is refused now, if it is. The watch looks once a second, and no level is left at once; but
    /// descriptors are either there or not, so they are looked at again before anybody is turned away for want of them.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let refusal = self.pressure.load().refusal()?;
        let plenty = || descriptors::in_use().is_ok_and(|in_use| in_use < self.few_descriptors());
        (refusal.signal != Signal::Descriptors || !plenty()).then_some(refusal)
    }

    /// From how many descriptors in use on the pool is tight.
    fn few_descriptors(&self) -> u64 {
        let limit = usize::try_from(descriptors::limit()).unwrap_or(usize::MAX);
        self.overload.descriptors_tight.of(limit) as u64
    }

    /// `deadlines` as they apply under the pool's present pressure: shorter, the harder it is pressed.
    #[must_use]
    pub fn pressed(&self, deadlines: &Deadlines) -> Deadlines {
        let pressure = self.pressure.load();
        let scaled = |full: Bound| pressure.scaled(full, self.overload.shortest_deadline.of_bound(full));
        Deadlines {
            connection_timeout: scaled(deadlines.connection_timeout),
            inactivity_timeout: scaled(deadlines.inactivity_timeout),
            half_closed_timeout: scaled(deadlines.half_closed_timeout),
            no_data_timeout: match deadlines.no_data_timeout {
                proxy_conn::Switch::Off => proxy_conn::Switch::Off,
                proxy_conn::Switch::After(full) => proxy_conn::Switch::After(scaled(full)),
            },
            ..*deadlines
        }
    }
}

/// The names of all pools that there ever were, by the number that each has in the tracker. Clones are the same table.
///
/// A name keeps its number, also while it is in no configuration: its connections live on. Only when there are no numbers
/// left is one given anew whose connections are all gone.
#[derive(Debug, Clone)]
pub struct Numbers(Arc<Mutex<Vec<Arc<str>>>>);

/// Every number that the tracker can keep stands for a pool that has connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MOST_NUMBERS} pools that are no longer configured still have connections: end these, or keep the pools' names"
)]
pub struct NoNumber;

/// The tracker keeps a pool as one byte, of which the last value stands for none.
const MOST_NUMBERS: usize = 255;

impl Numbers {
    pub(crate) fn of(pools: &[PoolConfig]) -> Self {
        Self(Arc::new(Mutex::new(pools.iter().map(|pool| Arc::clone(&pool.name)).collect())))
    }

    /// The name of the pool with this number.
    #[must_use]
    pub fn name(&self, number: u8) -> Option<Arc<str>> {
        self.0.lock().get(usize::from(number)).cloned()
    }

    /// The numbers of `pools`, which are to follow those `in_force`.
    pub(crate) fn assign(
        &self,
        pools: &[PoolConfig],
        in_force: &[Pool],
        tracker: &Tracker,
    ) -> Result<Vec<u8>, NoNumber> {
        let mut names = self.0.lock();
        let mut living = None;
        pools.iter().map(|pool| number(&mut names, pool, pools, in_force, tracker, &mut living)).collect()
    }
}

/// The number of one pool; a new one if it has none.
fn number(
    names: &mut Vec<Arc<str>>,
    pool: &PoolConfig,
    pools: &[PoolConfig],
    in_force: &[Pool],
    tracker: &Tracker,
    living: &mut Option<Vec<u8>>,
) -> Result<u8, NoNumber> {
    if let Some(known) = names.iter().position(|name| *name == pool.name) {
        return u8::try_from(known).map_err(|_| NoNumber);
    }
    if names.len() < MOST_NUMBERS {
        names.push(Arc::clone(&pool.name));
        return u8::try_from(names.len() - 1).map_err(|_| NoNumber);
    }
    let living = living
        .get_or_insert_with(|| tracker.connections().iter().filter_map(proxy_conn::Tracked::pool).collect());
    let is_free = |(name, number): (&Arc<str>, u8)| {
        let is_used = living.contains(&number)
            || in_force.iter().any(|pool| pool.number == number)
            || pools.iter().any(|pool| pool.name == *name);
        (!is_used).then_some(number)
    };
    let free = names.iter().zip(0..).find_map(is_free).ok_or(NoNumber)?;
    if let Some(name) = names.get_mut(usize::from(free)) {
        *name = Arc::clone(&pool.name);
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::{Level, Pressure};

    #[test]
    fn nobody_is_turned_away_for_want_of_descriptors_that_are_there_again() {
        let config = crate::config::Config::parse(crate::demo::OUTER, "outer.toml").unwrap();
        let pool = Pool::new(&config.pools[0], 0, 1000, None);
        let sheds = |signal| Pressure { level: Level::Shed, signal, ..Pressure::default() };
        pool.pressure.store(sheds(Signal::Connections));
        assert_eq!(pool.refusal().map(|refusal| refusal.signal), Some(Signal::Connections));
        pool.pressure.store(sheds(Signal::Descriptors));
        assert!(descriptors::raise_limit() > 0);
        assert_eq!(pool.refusal(), None, "this process has plenty");
        let tight =
            OverloadOptions { descriptors_tight: proxy_conn::overload::Percent::MIN, ..pool.overload };
        let limit = usize::try_from(descriptors::limit()).unwrap();
        let most =
            (0..=tight.descriptors_tight.of(limit)).map_while(|_| std::fs::File::open("/dev/null").ok());
        let held: Vec<_> = most.collect();
        let pool = Pool { overload: tight, ..pool };
        assert_eq!(pool.refusal().map(|refusal| refusal.signal), Some(Signal::Descriptors), "{}", held.len());
    }

    fn configured(name: &str) -> Vec<PoolConfig> {
        let text = crate::demo::OUTER.to_owned() + &format!("\n[pools.\"{name}\"]\n");
        crate::config::Config::parse(&text, "outer.toml").unwrap().pools
    }

    #[test]
    fn a_name_keeps_its_number_and_numbers_are_given_anew_only_when_there_are_no_others() {
        let tracker = Tracker::new(1, ());
        let numbers = Numbers::of(&configured("first"));
        let opening = proxy_conn::Opening {
            peer: proxy_core::PeerAddr::new(([127, 0, 0, 1], 1).into()),
            listener: "test".into(),
        };
        // All but the first two, which are always configured, are of pools that are gone and have connections.
        let mut open = Vec::new();
        for n in 2..MOST_NUMBERS {
            let name = if n == 2 { "first".to_owned() } else { format!("p{n}") };
            let assigned = numbers.assign(&configured(&name), &[], &tracker).unwrap();
            assert_eq!(assigned.iter().map(|number| usize::from(*number)).collect::<Vec<_>>(), [0, 1, n]);
            let guard = tracker.open(0, opening.clone());
            guard.join(assigned[2], false);
            open.push(guard);
        }
        assert_eq!(numbers.assign(&configured("p7"), &[], &tracker), Ok(vec![0, 1, 7]));
        assert_eq!(numbers.assign(&configured("one more"), &[], &tracker), Err(NoNumber));
        assert_eq!(numbers.name(7).as_deref(), Some("p7"));
        drop(open.remove(5));
        assert_eq!(numbers.assign(&configured("one more"), &[], &tracker), Ok(vec![0, 1, 7]));
        assert_eq!(numbers.name(7).as_deref(), Some("one more"));
    }
}
