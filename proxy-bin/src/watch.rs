//! The watch of the control plane: how hard pressed each pool is, and what is done about it.
//!
//! It looks at all connections once a second, off the workers: it reads atomics and `/proc`, and tells the workers the result
//! through one atomic a pool. What it ends, it ends as an operator would: by a cancel with a reason.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proxy_conn::overload::{Candidate, Usage};
use proxy_conn::{Level, Overload, Phase, Readings, Reason, Tracked};
use proxy_core::listen::accept_error_is_shortage;
use proxy_core::memory;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Memory;
use crate::descriptors;
use crate::pool::Pool;
use crate::proxy::Proxy;

/// How often it looks: often enough that a flood is met within a small part of any deadline, rarely enough that a hundred
/// thousand connections cost a few percent of one core.
const EVERY: Duration = Duration::from_secs(1);

/// Fewer connections than these leave less memory behind than looking for it is worth.
const WORTH_A_LOOK: usize = 1000;

/// Watches the pools of the generation in force until `stop`.
pub(crate) async fn watch<D>(in_force: Arc<ArcSwap<Proxy<D>>>, stop: CancellationToken) {
    let mut breakers: Vec<Breaker> = Vec::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut crowd, mut still, mut watched) = (Crowd::default(), None, None);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let proxy = in_force.load_full();
        if !watched.as_ref().is_some_and(|watched| Arc::ptr_eq(watched, &proxy)) {
            breakers = followed(&proxy.pools, breakers);
            (watched, still) = (Some(Arc::clone(&proxy)), None);
        }
        let process = Process::read(&proxy);
        if crowd.has_gone(proxy.tracker.len()) {
            memory::release();
        }
        // While nobody comes or goes, all have their backend, and all is well, they are as they were seen.
        let counts = (proxy.tracker.opened(), proxy.tracker.len());
        let still_so =
            still == Some(counts) && breakers.iter().all(|one| one.overload.level() == Level::Normal);
        let connections = if still_so { Vec::new() } else { proxy.tracker.connections() };
        for (pool, breaker) in proxy.pools.iter().zip(&mut breakers) {
            let mine: Vec<&Tracked> =
                connections.iter().filter(|one| one.pool() == Some(pool.number)).collect();
            if !still_so {
                breaker.seen = Seen::of(&mine);
            }
            let readings = breaker.seen.readings(pool, &process);
            observe(pool, &mut breaker.overload, &mine, &readings);
        }
        // Whoever has none yet may have no pool yet either, and is in no pool's count.
        still = connections.iter().all(|one| one.phase() >= Phase::Relay).then_some(counts);
    }
}

/// A pool's breaker, and what it was last shown.
struct Breaker {
    pool: Arc<str>,
    overload: Overload,
    seen: Seen,
}

/// The breakers of `pools`; those that had one before keep it, at its level.
fn followed(pools: &[Pool], mut before: Vec<Breaker>) -> Vec<Breaker> {
    let breaker = |pool: &Pool| match before.iter().position(|one| one.pool == pool.name) {
        Some(n) => {
            let mut known = before.swap_remove(n);
            known.overload.reconfigure(pool.overload);
            known
        }
        None => Breaker {
            pool: Arc::clone(&pool.name),
            overload: Overload::new(pool.overload),
            seen: Seen::default(),
        },
    };
    pools.iter().map(breaker).collect()
}

/// How many connections there were at the most, of late.
#[derive(Debug, Default)]
struct Crowd {
    most: usize,
}

impl Crowd {
    /// Whether most of a crowd has gone by now, and with it what its memory was needed for: told once.
    fn has_gone(&mut self, now: usize) -> bool {
        self.most = self.most.max(now);
        let gone = self.most >= WORTH_A_LOOK && now <= self.most / 4;
        if gone {
            self.most = now;
        }
        gone
    }
}

/// What there is to see of the process.
struct Process {
    descriptors: Usage,
    memory: Usage,
}

impl Process {
    fn read<D>(proxy: &Proxy<D>) -> Self {
        let most_memory = proxy.config.limits.max_memory.map_or(0, Memory::bytes);
        Self {
            descriptors: Usage::new(descriptors_in_use(), descriptors::limit()),
            memory: Usage::new(
                if most_memory > 0 { descriptors::resident().unwrap_or(0) } else { 0 },
                most_memory,
            ),
        }
    }
}

/// How many descriptors are in use. It takes one to look: where there is none to be had, all are.
fn descriptors_in_use() -> u64 {
    match descriptors::in_use() {
        Ok(in_use) => in_use,
        Err(error) if accept_error_is_shortage(&error) => descriptors::limit(),
        Err(_) => 0,
    }
}

/// Looks at one pool, and acts.
fn observe(pool: &Pool, breaker: &mut Overload, connections: &[&Tracked], readings: &Readings) {
    let now = Instant::now();
    if let Some(change) = breaker.observe(readings, now) {
        if change.to > change.from {
            warn!(pool = %pool.name, from = %change.from, to = %change.to, signal = %change.signal, "overload: {change}");
        } else {
            info!(pool = %pool.name, from = %change.from, to = %change.to, signal = %change.signal, "overload: {change}");
        }
    }
    pool.pressure.store(breaker.pressure());
    if breaker.level() > Level::Normal {
        relieve(pool, breaker, connections, now);
    }
}

/// What was seen of a pool's connections.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    connections: u64,
    dialling: u64,
    oldest_dial: Duration,
}

impl Seen {
    fn of(connections: &[&Tracked]) -> Self {
        let now = Instant::now();
        let dialling = || connections.iter().filter(|one| one.phase() == Phase::Dial);
        Self {
            connections: connections.len() as u64,
            dialling: dialling().count() as u64,
            oldest_dial: dialling().map(|one| one.in_phase(now)).max().unwrap_or_default(),
        }
    }

    fn readings(&self, pool: &Pool, process: &Process) -> Readings {
        Readings {
            connections: Usage::new(self.connections, pool.watched as u64),
            dialling: self.dialling,
            oldest_dial: self.oldest_dial,
            descriptors: process.descriptors,
            memory: process.memory,
        }
    }
}

/// Ends the pool's connections of least use.
fn relieve(pool: &Pool, breaker: &mut Overload, connections: &[&Tracked], now: Instant) {
    let mortal = connections.iter().filter(|one| !one.is_immortal());
    let candidates: Vec<_> = mortal.clone().map(|one| candidate(one, now)).collect();
    let victims = breaker.victims(&candidates);
    if victims.is_empty() {
        return;
    }
    let chosen: std::collections::HashSet<_> = victims.iter().map(|victim| victim.id).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::Tracker;
    use proxy_core::mem::{self, MemNet};
    use proxy_core::stream::write_all;
    use proxy_core::{PeerAddr, Resolver};

    #[test]
    fn a_crowd_has_gone_once() {
        let mut crowd = Crowd::default();
        let seen: Vec<_> =
            [0, 900, 3000, 800, 750, 740, 0, 0].into_iter().map(|n| crowd.has_gone(n)).collect();
        assert_eq!(seen, [false, false, false, false, true, false, false, false]);
    }

    const SILENT_AT_FIRST: &str = r#"
[limits]
max_connections = 200
connections_per_client = "off"
connections_per_client_per_minute = "off"
[timeouts]
proxy_header_timeout = "10s"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
accept_proxy = { required = ["10.0.0.0/8"] }
[[routes]]
name = "only"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9000"] }
"#;

    /// They came long before anybody knew which pool they belong to, and nobody came or went since.
    #[tokio::test(start_paused = true)]
    async fn dials_that_hang_are_seen_although_nobody_comes_or_goes() {
        let net = MemNet::default();
        let _hole = net.black_hole(([127, 0, 0, 1], 9000).into());
        let config = crate::config::Config::parse(SILENT_AT_FIRST, "silent.toml").unwrap();
        let at = crate::proxy::Listener::new(&config.listeners[0]);
        let proxy = Arc::new(Proxy::new(config, Tracker::new(1, ()), net, Resolver::fixed([])));
        let peer = PeerAddr::new(([10, 0, 0, 1], 1).into());
        let (mut clients, mut serving) = (Vec::new(), tokio::task::JoinSet::new());
        for _ in 0..120 {
            let (far, near) = mem::pair(1024);
            clients.push(far);
            serving.spawn(proxy.connection(&at, 0, near, peer));
        }
        let playing = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            for client in &clients {
                write_all(client, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(7)).await;
            proxy.pools.iter().map(|pool| pool.pressure.load().level).max()
        };
        tokio::select! {
            () = watch(Arc::new(ArcSwap::new(Arc::clone(&proxy))), CancellationToken::new()) => unreachable!("nobody stops it"),
            level = playing => assert_eq!(level, Some(Level::Shed)),
        }
        assert_eq!(proxy.tracker.len(), clients.len());
    }
}
