//! A pool isolates: its flood does not touch another's connections.

mod numbers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proxy_conn::overload::{Refusal, Signal, Usage};
use proxy_conn::{Deadlines, LevelCell, Limit, OverloadOptions, PoolId};
use proxy_core::Bound;

use crate::descriptors;
use crate::settings::{AtLimit, PoolConfig, limit};

pub use numbers::{NoNumber, Numbers};

/// Below this many places one connection more or less is a step of over 5 %, the distance from "shed" to "full": a breaker
/// would flap or refuse who still fits.
const FEWEST: usize = 20;

/// However hard a pool is pressed, who has bytes to take has this long for the next ones (or as long as is written, where that is
/// less). A receiver tells of room in steps of up to 320 KiB (a hop whose buffer has grown; a client's on loopback are of
/// 128 KiB), so one that reads 32 KiB/s, steadily, shows every 10 s at the latest that it lives.
const TAKES_SOME: Bound = Bound::secs(12);

/// A pool of connections: its limit, and how hard pressed it is.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name in logs and metrics.
    pub name: Arc<str>,
    /// What the tracker knows it by, for as long as the process lives.
    pub id: PoolId,
    /// Its connections, and how many it may have.
    pub limit: Limit,
    /// What happens at the limit.
    pub at_limit: AtLimit,
    /// How hard pressed it is, as the watch last saw it.
    pub pressure: Arc<LevelCell>,
    /// From how many descriptors in use on newcomers are refused, as the watch last saw it.
    scarce_from: Arc<AtomicU64>,
    /// How many were refused for want of a place.
    wanted: Arc<AtomicU64>,
    /// When it counts as overloaded.
    pub overload: OverloadOptions,
    /// Against how many connections its breaker looks: its own limit, else the process's. 0 where there are too few for
    /// shares of them to mean anything; the limit itself holds all the same.
    pub watched: usize,
}

impl Pool {
    /// A pool in a process that may have `most` connections; it goes on counting where `before` is.
    #[must_use]
    pub fn new(config: &PoolConfig, id: PoolId, most: usize, before: Option<&Self>) -> Self {
        let own = config.max_connections.map(|most| most.get() as usize);
        Self {
            name: Arc::clone(&config.name),
            id,
            limit: before.map_or_else(|| limit(config.max_connections), |before| before.limit.clone()),
            at_limit: config.at_limit,
            pressure: before.map(|before| Arc::clone(&before.pressure)).unwrap_or_default(),
            scarce_from: before
                .map_or_else(|| Arc::new(AtomicU64::new(u64::MAX)), |before| Arc::clone(&before.scarce_from)),
            wanted: before.map(|before| Arc::clone(&before.wanted)).unwrap_or_default(),
            overload: config.overload,
            watched: Some(own.map_or(most, |own| own.min(most))).filter(|most| *most >= FEWEST).unwrap_or(0),
        }
    }

    /// Why a new connection is refused now, if it is. The watch sees a shortage that is over some moments later; but places and
    /// descriptors are either there or not, so they are looked at again before anybody is turned away for want of them.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let refusal = self.pressure.load().refusal()?;
        let holds = match refusal.signal {
            Signal::Connections => self.connections().reaches(self.overload.connections_shed),
            Signal::Descriptors => descriptors::in_use() >= self.scarce_from.load(Ordering::Relaxed),
            Signal::Growth | Signal::Dialling | Signal::Memory => true,
        };
        if holds {
            self.want();
        }
        holds.then_some(refusal)
    }

    /// Its connections, with those that wait to be, against as many as its breaker watches it for.
    #[must_use]
    pub fn connections(&self) -> Usage {
        let connections = self.limit.in_use() + self.limit.waiting();
        Usage::new(connections as u64, self.watched as u64)
    }

    /// Somebody is turned away who would not be if others went.
    pub(crate) fn want(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were since this was last asked.
    pub(crate) fn was_wanted_by(&self) -> u64 {
        self.wanted.swap(0, Ordering::Relaxed)
    }

    /// Notes what the watch has seen of descriptors.
    pub(crate) fn saw(&self, descriptors: Usage) {
        let scarce_from = descriptors.mark(self.overload.descriptors_shed).unwrap_or(u64::MAX);
        self.scarce_from.store(scarce_from, Ordering::Relaxed);
    }

    /// `deadlines` as they apply under the pool's present pressure: shorter, the harder it is pressed. Those that a slow reader has
    /// to meet are left long enough to be met.
    #[must_use]
    pub fn pressed(&self, deadlines: &Deadlines) -> Deadlines {
        let pressure = self.pressure.load();
        let scaled = |full: Bound| pressure.scaled(full, self.overload.shortest_deadline.of_bound(full));
        let for_readers = |full: Bound| scaled(full).max(full.min(TAKES_SOME));
        deadlines
            .connection_timeout(scaled(deadlines.connection_timeout))
            .inactivity_timeout(for_readers(deadlines.inactivity_timeout))
            .write_stall_timeout(for_readers(deadlines.write_stall_timeout))
            .half_closed_timeout(scaled(deadlines.half_closed_timeout))
            .no_data_timeout(match deadlines.no_data_timeout {
                proxy_conn::Switch::Off => proxy_conn::Switch::Off,
                proxy_conn::Switch::After(full) => proxy_conn::Switch::After(scaled(full)),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::{Level, Pressure};

    /// A pool of which the watch has last seen that it sheds because of `signal`.
    fn shedding(signal: Signal, most: usize) -> Pool {
        let pool = Pool::new(&PoolConfig::named("direct"), PoolId::new(0).unwrap(), most, None);
        pool.pressure.store(Pressure { level: Level::Shed, signal, ..Pressure::default() });
        pool
    }

    fn refused_for(pool: &Pool) -> Option<Signal> {
        pool.refusal().map(|refusal| refusal.signal)
    }

    #[test]
    fn nobody_is_turned_away_for_want_of_places_that_are_there_again() {
        let pool = shedding(Signal::Connections, 20);
        let mut open: Vec<_> = (0..19).map(|_| pool.limit.acquire().unwrap()).collect();
        assert_eq!((refused_for(&pool), pool.was_wanted_by()), (Some(Signal::Connections), 1));
        open.pop();
        assert_eq!((refused_for(&pool), pool.was_wanted_by()), (None, 0), "below its mark of 95 %");
    }

    #[test]
    fn nobody_is_turned_away_for_want_of_descriptors_that_are_there_again() {
        let pool = shedding(Signal::Descriptors, 1000);
        assert_eq!(refused_for(&pool), None, "the watch has not looked yet");
        pool.saw(Usage::new(0, 1 << 20));
        assert_eq!(refused_for(&pool), None, "this process has plenty");
        pool.saw(Usage::new(0, 1000));
        let held: Vec<_> = (0..950).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
        assert_eq!(refused_for(&pool), Some(Signal::Descriptors), "{}", held.len());
    }

    #[test]
    fn a_pool_that_is_hard_pressed_leaves_a_slow_reader_the_time_to_show_that_it_lives() {
        let pool = shedding(Signal::Memory, 1000);
        let full = Pressure {
            level: Level::Tight,
            strength: proxy_conn::overload::Strength::FULL,
            ..Pressure::default()
        };
        pool.pressure.store(full);
        let pressed = |inactivity, write_stall| {
            let written = Deadlines::default()
                .inactivity_timeout(Bound::secs(inactivity))
                .write_stall_timeout(Bound::secs(write_stall))
                .half_closed_timeout(Bound::secs(30));
            let pressed = pool.pressed(&written);
            assert_eq!(pressed.half_closed_timeout, Bound::secs(3), "of who is owed nothing");
            (pressed.inactivity_timeout.get().as_secs(), pressed.write_stall_timeout.get().as_secs())
        };
        assert_eq!(pressed(3600, 300), (360, 30));
        assert_eq!(pressed(60, 60), (12, 12));
        assert_eq!(pressed(10, 5), (10, 5), "as long as it is written");
    }

    #[test]
    fn what_may_be_short_still_is() {
        for signal in [Signal::Memory, Signal::Dialling] {
            assert_eq!(refused_for(&shedding(signal, 1000)), Some(signal));
        }
    }
}
