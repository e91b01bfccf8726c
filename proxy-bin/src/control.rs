//! The handle by which a running proxy is looked at and changed: for the admin API, the command line and signals.
//!
//! What changes a proxy does so one at a time (`changing`), on the control runtime, and to its end even if whoever asked has
//! gone. What looks reads atomics and short locks, none of which is held across an await.

mod aside;
mod drain;
mod state;

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use proxy_conn::{Audit, Tracker};
use proxy_core::TcpDialer;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use aside::Aside;
pub use aside::AsideError;
pub use drain::DrainError;
pub(crate) use drain::scope;
pub use state::State;

use crate::audit::{Sockets, audit};
use crate::handover::Upgrading;
use crate::logging::Logs;
use crate::model;
use crate::proxy::Proxy;
use crate::reload::FileWatch;
use crate::server::{Doors, Worker};
use crate::service::Service;
use drain::Drains;

/// The handle of a running [`Server`](crate::server::Server). Cheap to clone; clones are the same. It does not keep the
/// server: once that has stopped, there is nothing left to change.
#[derive(Clone)]
pub struct Control(Arc<Parts>);

/// What a server consists of.
pub(crate) struct Parts {
    in_force: Arc<ArcSwap<Proxy<TcpDialer>>>,
    tracker: Arc<Tracker>,
    pub(crate) doors: Doors,
    workers: Box<[Worker]>,
    /// Connections' tasks, and nothing else.
    pub(crate) tasks: TaskTracker,
    audit: Audit,
    /// Ends the workers, and the control plane's own tasks.
    pub(crate) quit: CancellationToken,
    /// Somebody wants it to stop.
    asked_to_stop: CancellationToken,
    /// The control plane's.
    pub(crate) runtime: Handle,
    began: Instant,
    pub(crate) standing: Mutex<Standing>,
    /// Held by whoever changes something.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) drains: Drains,
    /// None where somebody else has the process's log.
    pub(crate) logs: Mutex<Option<Logs>>,
    /// None where nobody is to be told.
    service: Mutex<Option<Service>>,
    pub(crate) upgrading: Upgrading,
    pub(crate) file: Mutex<Option<FileWatch>>,
    /// Reading the configuration.
    pub(crate) reading: Aside,
    /// Opening the log's files.
    pub(crate) opening: Aside,
}

/// What it does, and how its configuration came to be in force.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) generation: u64,
    pub(crate) loaded_at: f64,
    pub(crate) last_reload: Option<model::Reload>,
}

impl Parts {
    pub(crate) fn new(
        proxy: Arc<Proxy<TcpDialer>>,
        doors: Doors,
        workers: Vec<Worker>,
        tasks: TaskTracker,
        runtime: Handle,
        sockets_are: Sockets,
    ) -> Self {
        let tracker = Arc::clone(&proxy.tracker);
        let in_force = Arc::new(ArcSwap::new(proxy));
        let standing =
            Standing { state: State::Running, generation: 1, loaded_at: unix_time(), last_reload: None };
        Self {
            audit: audit(&in_force, workers.len(), &tasks, sockets_are),
            in_force,
            tracker,
            doors,
            workers: workers.into(),
            tasks,
            quit: CancellationToken::new(),
            asked_to_stop: CancellationToken::new(),
            runtime,
            began: Instant::now(),
            standing: Mutex::new(standing),
            changing: tokio::sync::Mutex::default(),
            drains: Drains::default(),
            logs: Mutex::default(),
            service: Mutex::default(),
            upgrading: Upgrading::default(),
            file: Mutex::default(),
            reading: Aside::default(),
            opening: Aside::default(),
        }
    }
}

impl Parts {
    pub(crate) fn audit_by(&self, options: proxy_conn::AuditOptions) {
        self.audit.set_options(options);
    }
}

impl Control {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.0
    }

    pub(crate) fn of(parts: Arc<Parts>) -> Self {
        Self(parts)
    }

    pub(crate) fn in_force(&self) -> &Arc<ArcSwap<Proxy<TcpDialer>>> {
        &self.0.in_force
    }

    /// The generation in force: configuration, routes, pools, listeners, limits. Do not keep it: it is not freed before
    /// it is dropped.
    #[must_use]
    pub fn proxy(&self) -> Arc<Proxy<TcpDialer>> {
        self.0.in_force.load_full()
    }

    /// The table of its connections.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.0.tracker
    }

    /// The audit of its connections: to run one now, and for its heartbeat.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Its worker threads, in their order.
    #[must_use]
    pub fn workers(&self) -> &[Worker] {
        &self.0.workers
    }

    /// Since it was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// What it does.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.standing.lock().state
    }

    /// Says what it does from now on. Once it has begun to stop nothing else is said any more.
    pub fn enter(&self, state: State) {
        let mut standing = self.0.standing.lock();
        match (standing.state, state) {
            (State::Draining, _) | (State::Leaving, State::Running | State::HandingOver) => {}
            (State::Leaving | State::Running | State::HandingOver, _) => standing.state = state,
        }
    }

    /// Which generation is in force: 1 is the one it started with.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.standing.lock().generation
    }

    /// The configuration in force, and how the last reload went.
    #[must_use]
    pub fn config_status(&self) -> model::ConfigStatus {
        let origin = self.proxy().config.origin.clone();
        let standing = self.0.standing.lock();
        model::ConfigStatus {
            origin: origin.file.map_or_else(|| "embedded".to_owned(), |file| file.display().to_string()),
            generation: standing.generation,
            loaded_at: standing.loaded_at,
            last_reload: standing.last_reload.clone(),
        }
    }

    /// The text of the configuration in force, as it was read.
    #[must_use]
    pub fn config_text(&self) -> Arc<str> {
        Arc::clone(&self.proxy().config.origin.text)
    }

    /// Copies of the listening sockets that are open, by the listener's name: one for each worker, in their order. For
    /// another process to take over.
    ///
    /// # Errors
    /// Where there is no descriptor left.
    pub fn listening_sockets(&self) -> std::io::Result<Vec<(Arc<str>, Vec<OwnedFd>)>> {
        self.0.doors.sockets()
    }

    /// Whoever started the log gives it to those who may change it; without it a change of `[log]` waits for the next start.
    pub fn log_by(&self, logs: Logs) {
        *self.0.logs.lock() = Some(logs);
    }

    /// The process's log, where it may be changed.
    #[must_use]
    pub fn logs(&self) -> Option<Logs> {
        self.0.logs.lock().clone()
    }

    /// Has the service manager told of what becomes of the proxy.
    pub fn tell(&self, service: Service) {
        *self.0.service.lock() = Some(service);
    }

    /// The service manager that is told, if there is one.
    #[must_use]
    pub fn service(&self) -> Option<Service> {
        *self.0.service.lock()
    }

    /// Asks it to stop, as SIGTERM does. Whoever runs the server waits for [`asked_to_stop`](Self::asked_to_stop).
    pub fn stop(&self) {
        self.0.asked_to_stop.cancel();
    }

    /// Resolves when somebody has called [`stop`](Self::stop). Cancel-safe.
    pub async fn asked_to_stop(&self) {
        self.0.asked_to_stop.cancelled().await;
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("standing", &*self.0.standing.lock()).finish_non_exhaustive()
    }
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
