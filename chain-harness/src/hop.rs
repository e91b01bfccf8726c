//! One proxy, in this process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proxy_api::model::Reload;
use proxy_bin::config::Config;
use proxy_bin::control::Control;
use proxy_bin::server::Server;
use proxy_conn::{Cause, ConnId, ConnView, Ended, Level, Opening, Phase, Subscriber, Tracker};
use proxy_core::listen::{ListenOptions, bind};
use proxy_dataplane::audit::SocketOwnership;
use proxy_dataplane::listeners::Inherited;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::CROWD;
use crate::ends::{EndLine, Ends};
use crate::laws::{Entry, Levels};
use crate::ports;
use crate::scenario::open_descriptors;
use crate::wait::{PATIENCE, becomes, eventually};

/// What must never be seen: faults of the proxy itself.
const FAULTS: [Cause; 4] = [Cause::Panicked, Cause::Aborted, Cause::IllegalTransition, Cause::Overdue];

/// A proxy in this process: the real server with its worker threads, on sockets that were bound before it started.
#[derive(Debug)]
pub struct Hop {
    server: Server,
    ports: Vec<u16>,
    ends: Ends,
    /// Descriptors that were open when it stood and nobody had connected.
    quiet: usize,
}

/// What lets a whole crowd come from 127.0.0.1, unless the scenario is about just that.
fn crowd(config: &str) -> &'static str {
    if config.contains("connections_per_client") || config.contains("[limits]") {
        return "";
    }
    CROWD
}

impl Hop {
    /// Starts `config` (TOML), in which `PORT_A` to `PORT_D` stand for ports of 127.0.0.1 (and of `::1`, where it
    /// listens there) that the kernel chooses.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::watched_by((), config)
    }

    /// The same, with `watcher` told of every connection on the worker that serves it.
    #[must_use]
    pub fn watched_by(watcher: impl Subscriber + 'static, config: &str) -> Self {
        let hosts: &[IpAddr] = match config.contains("\"::1\"") {
            true => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            false => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        };
        let mut bound = Inherited::new();
        let ports: Vec<_> = ports::placeholders(config).map(|_| bind_port(hosts, &mut bound)).collect();
        let config = format!("{}{config}", crowd(config));
        let config = Config::parse(&ports::filled(&config, &ports), "hop.toml")
            .unwrap_or_else(|errors| panic!("{errors}"));
        let ends = Ends::default();
        let told = Told { ends: ends.clone(), watcher };
        let server = Server::start_with(config, bound, &Handle::current(), SocketOwnership::Shared, told);
        let server = server.expect("it starts on sockets that are bound");
        Self { server, ports, ends, quiet: open_descriptors() }
    }

    /// The handle by which it is looked at and changed while it runs.
    #[must_use]
    pub fn control(&self) -> &Control {
        self.server.control()
    }

    /// Puts `config` in force, with the same ports for the placeholders.
    pub async fn reload(&self, config: &str) -> Reload {
        self.control().reload_with(&self.text(config)).await
    }

    /// What `config` would be as the text of a file.
    #[must_use]
    pub fn text(&self, config: &str) -> String {
        ports::refilled(&format!("{}{config}", crowd(config)), &self.ports)
    }

    /// Audits it now, and expects that nothing is found: the law that the tracker agrees with the kernel.
    pub async fn is_clean(&self) {
        let report = self.server.audit().run_once().await;
        assert!(report.is_clean(), "{report:?}");
    }

    /// How hard pressed one of its pools is.
    #[must_use]
    pub fn pool_level(&self, name: &str) -> Level {
        let proxy = self.server.control().proxy();
        let pool = proxy.pools.iter().find(|pool| &*pool.name == name);
        pool.expect("the configuration names the pool").pressure.level()
    }

    /// How many of its connections ended of `cause`.
    #[must_use]
    pub fn ends_of(&self, cause: Cause) -> u64 {
        self.tracker().ended(cause)
    }

    /// Where `PORT_A` is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.at(0)
    }

    /// Where the `n`th port is: 0 for `PORT_A`.
    #[must_use]
    pub fn at(&self, n: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, *self.ports.get(n).expect("the configuration has as many ports")).into()
    }

    /// Its table of connections.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        self.server.tracker()
    }

    /// How many connections hold a permit.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.server.permits_in_use()
    }

    /// Bytes read from the clients of its open connections.
    #[must_use]
    pub fn read_from_clients(&self) -> u64 {
        self.tracker().snapshot().iter().map(|view| view.from_client).sum()
    }

    /// Waits until `count` of its connections are in `phase`.
    pub async fn has_in(&self, phase: Phase, count: usize) {
        let in_phase = || self.tracker().snapshot().iter().filter(|view| view.phase == phase).count();
        becomes(PATIENCE, count, in_phase).await;
    }

    /// The ends so far.
    #[must_use]
    pub fn ends(&self) -> Vec<EndLine> {
        self.ends.all()
    }

    /// What it holds now, as its own books have it, for the [`laws`](crate::laws).
    #[must_use]
    pub fn levels(&self) -> Levels {
        let tracker = self.tracker();
        Levels {
            tracked: tracker.len(),
            opened: tracker.opened(),
            ended: Cause::ALL.iter().map(|cause| tracker.ended(*cause)).sum(),
            faults: FAULTS.iter().map(|cause| tracker.ended(*cause)).sum(),
            counts: vec![("permits".to_owned(), self.permits())],
            ..Levels::default()
        }
    }

    /// Its connections, and by how much each has outlived its deadline.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let now = Instant::now();
        let views = self.tracker().snapshot();
        let entry = |view: &ConnView| Entry {
            name: view.id.to_string(),
            phase: view.phase.to_string(),
            overdue: now.saturating_duration_since(view.deadline_at),
        };
        views.iter().map(entry).collect()
    }

    /// Gives up the ends so far, with the memory that they took.
    pub fn forget_ends(&self) {
        self.ends.forget();
    }

    /// Waits for the first `count` ends, and no more.
    pub async fn ended(&self, count: usize) -> Vec<EndLine> {
        eventually(PATIENCE, || self.ends().len() >= count).await;
        let ends = self.ends();
        assert_eq!(ends.len(), count, "{ends:#?}");
        ends
    }

    /// Waits for its one end.
    pub async fn the_end(&self) -> EndLine {
        self.ended(1).await.remove(0)
    }

    /// Waits until it has no connection and no permit is out, and makes sure that none ended by a fault of the proxy.
    pub async fn empties(&self, bound: Duration) {
        becomes(bound, (0, 0), || (self.tracker().len(), self.permits())).await;
        let faults = FAULTS.map(|cause| self.tracker().ended(cause));
        assert_eq!(faults, [0; FAULTS.len()], "faults of the proxy: {FAULTS:?}");
    }

    /// The laws, once everybody has gone who came after it stood: it is empty, every permit is back, and every socket of
    /// this process (its own, the clients' and the backends') is closed.
    pub async fn settles(&self) {
        self.settles_within(PATIENCE).await;
    }

    /// The same, within `bound`.
    pub async fn settles_within(&self, bound: Duration) {
        self.empties(bound).await;
        becomes(bound, self.quiet, open_descriptors).await;
        self.is_clean().await;
    }
}

/// Both are told: the ends, and whoever watches.
struct Told<W> {
    ends: Ends,
    watcher: W,
}

impl<W: Subscriber> Subscriber for Told<W> {
    fn opened(&self, id: ConnId, opening: &Opening) {
        self.watcher.opened(id, opening);
    }

    fn entered(&self, id: ConnId, phase: Phase) {
        self.watcher.entered(id, phase);
    }

    fn ended(&self, ended: &Ended<'_>) {
        self.ends.ended(ended);
        self.watcher.ended(ended);
    }
}

/// Binds the same port, which the kernel chooses, on each of `hosts`.
fn bind_port(hosts: &[IpAddr], bound: &mut Inherited) -> u16 {
    let options = ListenOptions::default();
    let mut port = 0;
    for host in hosts {
        let socket = bind(proxy_core::BindAddr::Ip(*host), port, &options).expect("there is a free port");
        let addr = socket.local_addr().expect("it is bound");
        port = addr.port();
        bound.insert(addr, socket);
    }
    port
}
