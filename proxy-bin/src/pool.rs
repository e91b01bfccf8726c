//! A pool isolates: its flood does not touch another's connections.

mod numbers;

use std::sync::Arc;

use proxy_conn::overload::{Refusal, Signal};
use proxy_conn::{Deadlines, LevelCell, Limit, OverloadOptions};
use proxy_core::Bound;

use crate::config::{AtLimit, PoolConfig};
use crate::descriptors;
use crate::proxy::limit;

pub use numbers::{NoNumber, Numbers};

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
        let plenty = || descriptors::in_use() < self.few_descriptors();
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
}
