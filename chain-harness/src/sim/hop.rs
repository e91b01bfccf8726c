//! A hop of the simulated world: the product, or a leaky proxy in its place, in a host of its own.

mod incidents;
mod levels;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_bin::config::Config;
use proxy_conn::{ConnId, DeadlineKind, Ended, Opening, Phase, Role, Subscriber, Tracker};
use proxy_core::{Dial as _, Endpoint, KeepAlive, PeerAddr, Resolver};
use proxy_dataplane::generation::Generation;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::interrupt::{self, Interruption};
use super::kernel::{Kernel, Remains};
use super::scenario::Hop;
use super::settings::{AT_BACKEND, BACKENDS, BLACK_HOLE, INNER, Leg, NAMES, OUTER};
use super::stream::SimNet;
use crate::laws::{self, Breach, Levels};
use crate::leaky::{Leak, Leaky, LeakyOptions};

/// What the hops of a world are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The product: its accept loop, its connection function.
    Product,
    /// The product, except that each connection's task of one hop is interrupted after so many polls.
    Interrupted(Hop, u32, Interruption),
    /// The product, and beside its health checks one that has no deadline of its own.
    CheckHangs,
    /// The product, except that a reset by who was dialled looks like an end to it.
    HidesResets,
    /// The leaky proxy, with a fault.
    Leaky(Leak),
}

/// How often a hop's connections are held against their deadlines, and by how much they may outlive them.
const LOOK: Duration = Duration::from_millis(100);
pub(super) const TICK: Duration = Duration::from_secs(1);

/// For so long at most a hop that stood still waits for what it finds overdue (`proxy_core::late`).
const EXCUSED: Duration = Duration::from_millis(500);

/// A hop as the world sees it from outside its host.
pub(super) struct Site {
    hop: Hop,
    pub(super) name: &'static str,
    pub(super) ip: Ipv4Addr,
    build: Build,
    config: String,
    legs: Vec<Leg>,
    options: LeakyOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the process is to run.
    down: bool,
    kernel: Weak<Kernel>,
    /// What its machine has of the process that was killed last.
    remains: Option<Remains>,
    running: Option<Running>,
    breaches: Vec<Breach>,
    jump: Duration,
    /// How its connections ended, by cause, its process restarted or not.
    ends: BTreeMap<&'static str, u64>,
    /// Tasks that were made to panic, or were interrupted.
    interrupted: u64,
}

/// What runs on a hop.
#[derive(Clone)]
enum Running {
    Product { proxy: Arc<Generation<SimNet>>, tasks: TaskTracker },
    Leaky { proxies: Vec<Arc<Leaky<SimNet>>>, tasks: TaskTracker },
}

impl Site {
    pub(super) fn new(
        hop: Hop,
        build: Build,
        config: String,
        legs: Vec<Leg>,
        options: LeakyOptions,
    ) -> Arc<Self> {
        let (name, ip) = match hop {
            Hop::Outer => ("outer", OUTER),
            Hop::Inner => ("inner", INNER),
        };
        Arc::new(Self { hop, name, ip, build, config, legs, options, state: Mutex::default() })
    }

    /// The host's life: its kernel, and the process on it while it is to run.
    pub(super) async fn live(self: Arc<Self>) -> turmoil::Result {
        let kernel = Kernel::boot(self.ip).await?;
        let remains = self.state.lock().remains.take();
        if let Some(remains) = remains {
            kernel.adopt(remains);
        }
        self.state.lock().kernel = Arc::downgrade(&kernel);
        while self.state.lock().down {
            tokio::time::sleep(LOOK).await;
        }
        let (net, stop) = (SimNet::new(Arc::clone(&kernel)), CancellationToken::new());
        let loops = TaskTracker::new();
        let running = match self.build {
            Build::Product | Build::Interrupted(..) | Build::CheckHangs => {
                self.product(&net, &loops, &stop)?
            }
            Build::HidesResets => self.product(&net.hiding_resets(), &loops, &stop)?,
            Build::Leaky(_) => self.leaky(&net, &loops, &stop)?,
        };
        self.state.lock().running = Some(running.clone());
        loop {
            tokio::time::sleep(LOOK).await;
            let jump = std::mem::take(&mut self.state.lock().jump);
            if jump > Duration::ZERO {
                tokio::time::advance(jump).await;
                // What is due by then is done first; what it was late with has a moment more.
                tokio::time::sleep(EXCUSED + LOOK).await;
            }
            self.look(&running);
        }
    }

    fn product(
        self: &Arc<Self>,
        net: &SimNet,
        loops: &TaskTracker,
        stop: &CancellationToken,
    ) -> std::io::Result<Running> {
        let config = Config::parse(&self.config, self.name);
        let config = config.unwrap_or_else(|errors| panic!("{errors}\n{}", self.config));
        let record = Record { site: Arc::downgrade(self), phases: Mutex::default() };
        let (tracker, keep_alive) = (Tracker::new(1, record), config.settings.keep_alive);
        let proxy = Arc::new(Generation::new(
            config.settings,
            tracker,
            net.clone(),
            Resolver::fixed(NAMES.map(|(name, ip)| (name, ip.into()))),
        ));
        let tasks = TaskTracker::new();
        loops.spawn(proxy.recover(stop.clone()));
        loops.spawn(proxy.check_members(&Handle::current(), stop.clone()));
        if self.build == Build::CheckHangs {
            loops.spawn(hanging_check(Arc::clone(&proxy.tracker), net.clone()));
        }
        for at in &proxy.listeners {
            let listener = net.listen(at.config.port, keep_alive)?;
            let (at, tasks) = (Arc::clone(at), tasks.clone());
            match self.build {
                Build::Interrupted(hop, polls, how) if hop == self.hop => {
                    let (site, proxy) = (Arc::clone(self), Arc::clone(&proxy));
                    let interrupted = move || site.state.lock().interrupted += 1;
                    loops.spawn(interrupt::accept(proxy, at, listener, tasks, (polls, how), interrupted));
                }
                Build::Product
                | Build::Interrupted(..)
                | Build::CheckHangs
                | Build::HidesResets
                | Build::Leaky(_) => {
                    loops.spawn(Arc::clone(&proxy).accept(at, 0, listener, tasks, stop.clone()));
                }
            }
        }
        Ok(Running::Product { proxy, tasks })
    }

    fn leaky(&self, net: &SimNet, loops: &TaskTracker, stop: &CancellationToken) -> std::io::Result<Running> {
        let (mut proxies, tasks) = (Vec::new(), TaskTracker::new());
        for leg in &self.legs {
            let options = LeakyOptions { target: Endpoint::Ip(leg.target.into()), ..self.options.clone() };
            let proxy = Leaky::new(options, net.clone());
            let listener = net.listen(leg.port, KeepAlive::default())?;
            loops.spawn(Arc::clone(&proxy).accept(listener, tasks.clone(), stop.clone()));
            proxies.push(proxy);
        }
        Ok(Running::Leaky { proxies, tasks })
    }

    /// Holds what runs against the laws that hold at any time.
    fn look(&self, running: &Running) {
        let entries = running.entries();
        let mut breaches = laws::overdue(self.name, &entries, TICK);
        if let Running::Leaky { proxies, .. } = running {
            let paths = proxies.iter().flat_map(|proxy| proxy.take_paths());
            breaches.extend(paths.filter_map(|(name, phases)| laws::path(self.name, &name, &phases)));
        }
        self.state.lock().breaches.extend(breaches);
    }

    /// What was found broken so far.
    pub(super) fn take_breaches(&self) -> Vec<Breach> {
        std::mem::take(&mut self.state.lock().breaches)
    }

    /// How its connections ended, by cause.
    pub(super) fn ends(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().ends.clone()
    }

    /// How many of its tasks were interrupted.
    pub(super) fn interrupted(&self) -> u64 {
        self.state.lock().interrupted
    }

    /// What it holds now; None while its process is down.
    pub(super) fn levels(&self) -> Option<Levels> {
        let state = self.state.lock();
        let mut levels = state.running.as_ref()?.levels();
        // What it has by itself belongs to nobody's connection.
        let by_itself = state.running.as_ref()?.by_itself();
        levels.sockets = Some(state.kernel.upgrade()?.sockets().saturating_sub(by_itself));
        levels.faults = levels.faults.saturating_sub(state.interrupted);
        Some(levels)
    }
}

/// A health check of a member that neither accepts nor refuses, by one who forgot that it has to end: a planted fault.
async fn hanging_check(tracker: Arc<Tracker>, net: SimNet) {
    let hole = SocketAddr::from((BACKENDS, AT_BACKEND + BLACK_HOLE));
    let check = tracker.open(0, Opening::new(PeerAddr::new(hole), "check").role(Role::Check));
    let until = Instant::now() + TICK;
    if check.enter(Phase::Dial, until, DeadlineKind::Check).is_ok() {
        drop(net.dial((&Endpoint::Ip(hole)).into()).await);
    }
}

/// Writes down the phases of the product's connections, and holds them against the table when they end.
struct Record {
    site: Weak<Site>,
    phases: Mutex<HashMap<ConnId, Vec<Phase>>>,
}

impl Subscriber for Record {
    fn entered(&self, id: ConnId, phase: Phase) {
        self.phases.lock().entry(id).or_default().push(phase);
    }

    fn ended(&self, ended: &Ended<'_>) {
        let phases = self.phases.lock().remove(&ended.id).unwrap_or_default();
        let Some(site) = self.site.upgrade() else { return };
        let mut state = site.state.lock();
        *state.ends.entry(ended.end.cause.name()).or_default() += 1;
        state.breaches.extend(laws::path(site.name, &ended.id.to_string(), &phases));
    }
}
