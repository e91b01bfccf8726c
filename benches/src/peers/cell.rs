//! One cell of the table: one proxy at one work, once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::proxy::{Proxy, Setting, Starter, Up};
use super::work::Work;
use crate::clock;
use crate::cores::pin;
use crate::load::{Done, Load, Tls};
use crate::tree::Tree;

/// The bound of one cell.
const BOUND: Duration = Duration::from_secs(120);
/// After the last connection has gone, so much is waited for a proxy to put its things away, which counts as its work.
const SETTLE: Duration = Duration::from_millis(20);
/// How long it may take to give memory back.
const GIVEN_BACK: Duration = Duration::from_secs(3);
/// For how long a proxy may have things to see to after the last of a crowd has fallen silent, before it counts as idle.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Short connections at a time, and connections of round trips.
pub(crate) const AT_ONCE: u32 = 64;
/// Bytes of a message of a round trip.
pub(crate) const MESSAGE: u64 = 100;
const BULK_CONNECTIONS: u32 = 4;

/// How much is done in a cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) connections: u32,
    pub(crate) round_trips: u64,
    pub(crate) bulk_bytes: u64,
    pub(crate) idle_connections: u32,
    /// For how long nothing is done while connections are idle.
    pub(crate) idle_for: Duration,
}

impl Amount {
    /// As much as takes a few seconds a cell.
    pub(crate) const FULL: Self = Self {
        connections: 20_000,
        round_trips: 200_000,
        bulk_bytes: 8_000_000_000,
        idle_connections: 8_000,
        idle_for: Duration::from_secs(5),
    };
    /// As much as shows roughly where things are.
    pub(crate) const QUICK: Self = Self {
        connections: 5_000,
        round_trips: 50_000,
        bulk_bytes: 2_000_000_000,
        idle_connections: 8_000,
        idle_for: Duration::from_secs(2),
    };

    /// As much as warms up: a proxy's allocator, its pools, the ports it connects from.
    pub(crate) const fn warm_up(self) -> Self {
        Self {
            connections: self.connections / 10,
            round_trips: self.round_trips / 10,
            bulk_bytes: self.bulk_bytes / 10,
            ..self
        }
    }
}

/// The cores of a run: the proxy's and the load's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) proxy: usize,
    pub(crate) load: usize,
}

/// What one load cost.
pub(crate) struct Cost {
    pub(crate) done: Done,
    /// Of the proxy.
    pub(crate) cpu: Duration,
    /// Of the load and the backends.
    load: Duration,
    /// With settling, in which something of `cpu` may have been used.
    wall: Duration,
}

/// Runs `load` against a proxy, and says what it cost.
pub(crate) fn cost(
    tree: &Tree,
    load: &mut Load,
    run: impl FnOnce(&mut Load) -> std::io::Result<Done>,
) -> anyhow::Result<Cost> {
    load.bound(BOUND);
    let (own, start) = (Tree::own(), clock::now());
    let (before, own_before) = (tree.cpu(), own.cpu());
    let done = run(load)?;
    let own_used = own.cpu() - own_before;
    load.until_quiet()?;
    let wall = start.elapsed();
    load.rest(SETTLE)?;
    Ok(Cost { done, cpu: tree.cpu() - before, load: own_used, wall })
}

impl Cost {
    /// Microseconds of the proxy's core for each of `units`.
    pub(crate) fn each(&self, units: f64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / units
    }

    fn rate(&self, units: f64) -> f64 {
        units / self.done.wall.as_secs_f64()
    }

    fn busy(&self) -> [f64; 2] {
        [self.cpu, self.load].map(|used| 100.0 * used.as_secs_f64() / self.wall.as_secs_f64())
    }
}

/// The figures of one cell, in the order of [`Work::figures`], on a proxy that runs already.
pub(crate) fn measure(work: Work, up: &Up, load: &mut Load, amount: Amount) -> anyhow::Result<Vec<f64>> {
    let to = up.addr;
    load.speak(work.is_tls().then(|| Tls::new(work == Work::TlsResumed)).transpose()?);
    match work {
        Work::Short | Work::ChainShort | Work::TlsShort | Work::TlsResumed => {
            let cost = cost(&up.tree, load, |load| load.short(to, amount.connections, AT_ONCE))?;
            let (units, [busy, load]) = (f64::from(amount.connections), cost.busy());
            Ok(vec![cost.each(units), cost.rate(units), busy, load])
        }
        Work::RoundTrips | Work::ChainRoundTrips | Work::TlsRoundTrips => {
            let cost = round_trips(up, load, amount.round_trips)?;
            let (units, [busy, load]) = (amount.round_trips as f64, cost.busy());
            let [p50, p99] = cost.done.latency.map(|latency| latency.as_secs_f64() * 1e6);
            Ok(vec![cost.each(units), p99, p50, cost.rate(units), busy, load])
        }
        Work::Bulk | Work::ChainBulk | Work::TlsBulk => {
            let cost = cost(&up.tree, load, |load| load.bulk(to, BULK_CONNECTIONS, amount.bulk_bytes))?;
            let (units, [busy, load]) = (amount.bulk_bytes as f64 / 1e9, cost.busy());
            Ok(vec![cost.each(units) / 1e3, cost.rate(units), busy, load])
        }
        Work::Idle | Work::TlsIdle => idle(up, load, amount),
        Work::MassClose => mass_close(up, load, amount),
        Work::TwoWorkers => anyhow::bail!("it starts its proxies itself"),
    }
}

fn round_trips(up: &Up, load: &mut Load, count: u64) -> anyhow::Result<Cost> {
    load.bound(BOUND);
    // Connecting is no part of it.
    load.idle(up.addr, AT_ONCE)?;
    let (own, start) = (Tree::own(), clock::now());
    let (before, own_before) = (up.tree.cpu(), own.cpu());
    let done = load.round_trips(AT_ONCE, count, MESSAGE)?;
    let wall = start.elapsed();
    let used = own.cpu() - own_before;
    load.rest(SETTLE)?;
    let cpu = up.tree.cpu() - before;
    load.close()?;
    Ok(Cost { done, cpu, load: used, wall })
}

fn idle(up: &Up, load: &mut Load, amount: Amount) -> anyhow::Result<Vec<f64>> {
    load.bound(BOUND + AFTERMATH + amount.idle_for);
    let count = f64::from(amount.idle_connections);
    let (resident, descriptors) = (up.tree.resident(), up.tree.descriptors());
    load.idle(up.addr, amount.idle_connections)?;
    load.rest(SETTLE)?;
    ensure!(load.at_backends() == amount.idle_connections as usize, "connections were ended while idle");
    let per_connection = |now: u64, start: u64| (now as f64 - start as f64) / count;
    let more = per_connection(up.tree.resident(), resident) / 1024.0;
    let open = per_connection(up.tree.descriptors(), descriptors);
    let last_came = up.tree.cpu();
    load.rest(AFTERMATH)?;
    let aftermath = (up.tree.cpu() - last_came).as_secs_f64() * 1e3;
    let (before, start) = (up.tree.cpu(), clock::now());
    load.rest(amount.idle_for)?;
    let used = (up.tree.cpu() - before).as_secs_f64() * 1e3 / start.elapsed().as_secs_f64();
    load.close()?;
    // Memory may be given back a little later.
    load.rest(GIVEN_BACK)?;
    let left = (up.tree.resident() as f64 - resident as f64) / 1024.0;
    Ok(vec![more, used, aftermath, open, left, resident as f64 / 1024.0])
}

fn mass_close(up: &Up, load: &mut Load, amount: Amount) -> anyhow::Result<Vec<f64>> {
    load.bound(BOUND);
    let baseline = up.tree.descriptors();
    load.idle(up.addr, amount.idle_connections)?;
    load.rest(Duration::from_millis(200))?;
    let (before, start) = (up.tree.cpu(), clock::now());
    load.hang_up();
    let mut gone = None;
    load.until(|_| {
        let at_baseline = up.tree.descriptors() <= baseline;
        gone = at_baseline.then(|| start.elapsed());
        at_baseline
    })?;
    load.until_quiet()?;
    let cpu = (up.tree.cpu() - before).as_secs_f64() * 1e6 / f64::from(amount.idle_connections);
    Ok(vec![gone.unwrap_or_default().as_secs_f64() * 1e3, cpu])
}

/// Round trips with one worker on one core, then with two workers on both, which the load then shares.
pub(crate) fn two_workers(
    starter: &Starter,
    proxy: Proxy,
    load: &mut Load,
    amount: Amount,
    cores: Cores,
) -> anyhow::Result<Vec<f64>> {
    let units = amount.round_trips as f64;
    let both = [cores.proxy, cores.load];
    let run = |load: &mut Load, cores: &[usize], workers| {
        let setting = Setting { workers, ..Setting::on(cores) };
        let up = starter.start(proxy, load.backends(), &setting)?;
        round_trips(&up, load, amount.warm_up().round_trips)?;
        round_trips(&up, load, amount.round_trips)
    };
    let one = run(load, &both[..1], 1)?;
    pin(&both)?;
    let two = run(load, &both, 2);
    pin(&both[1..])?;
    let two = two?;
    // One worker is held up by whichever core is full first; two cores hold the work of both.
    let (proxy_each, load_each) = (one.each(units), one.load.as_secs_f64() * 1e6 / units);
    let possible = 2.0 * proxy_each.max(load_each) / (proxy_each + load_each);
    let ratio = two.rate(units) / one.rate(units);
    Ok(vec![ratio, possible, one.each(units), two.each(units), one.rate(units), two.rate(units)])
}

/// Where a cell's proxy is fresh each time: what is measured is what it holds.
pub(crate) const fn starts_anew(work: Work) -> bool {
    matches!(work, Work::Idle | Work::MassClose | Work::TwoWorkers | Work::TlsIdle)
}

/// Starts `proxy` for `work` and lets it get warm, unless it is to be cold.
pub(crate) fn start(
    starter: &Starter,
    proxy: Proxy,
    work: Work,
    load: &mut Load,
    amount: Amount,
    cores: Cores,
) -> anyhow::Result<Up> {
    let cores_of_proxy = [cores.proxy];
    let setting = Setting { hops: work.hops(), terminate: work.is_tls(), ..Setting::on(&cores_of_proxy) };
    let up = starter.start(proxy, load.backends(), &setting)?;
    if !starts_anew(work) {
        measure(work, &up, load, amount.warm_up()).with_context(|| up.output())?;
    }
    Ok(up)
}

/// Shown for progress.
pub(crate) fn seconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}
