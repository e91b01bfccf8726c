//! What a running proxy consists of.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use proxy_acme::Acme;
use proxy_core::TcpDialer;
use proxy_dataplane::{DataPlane, Generation};
use proxy_observe::HopFacts;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::aside::Aside;
use super::drains::Drains;
use super::file_watch::FileWatch;
use super::state::State;
use super::upgrading::Upgrading;
use crate::config::Config;
use crate::logging::Logs;
use crate::systemd::Manager;
use proxy_api::model;

/// A running proxy, as the parts of the control plane share it. It knows none of them.
pub(crate) struct Running {
    pub(crate) plane: Arc<DataPlane>,
    /// The configuration whose settings are in force.
    config: ArcSwap<Config>,
    /// Somebody wants it to stop.
    pub(super) asked_to_stop: CancellationToken,
    /// The control plane's.
    pub(crate) runtime: Handle,
    pub(crate) began: Instant,
    pub(crate) standing: Mutex<Standing>,
    /// Held by whoever changes something.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) drains: Drains,
    /// None where somebody else has the process's log.
    pub(crate) logs: Mutex<Option<Logs>>,
    /// None where nobody is to be told.
    pub(crate) manager: Mutex<Option<Manager>>,
    pub(crate) upgrading: Upgrading,
    pub(crate) file: Mutex<Option<FileWatch>>,
    /// The watch of the files of certificates, for as long as it runs; whatever it is, it ends with this.
    pub(crate) certificates: Mutex<Option<DropGuard>>,
    /// The same of obtaining them.
    pub(crate) obtaining: Mutex<Option<DropGuard>>,
    /// The other hops of the chain, as whoever asks them has found them last.
    pub(crate) hops: Mutex<Vec<HopFacts>>,
    /// The certificates that are obtained.
    pub(crate) acme: Arc<Acme>,
    /// Reading the configuration.
    pub(crate) reading: Aside,
    /// Opening the log's files.
    pub(crate) opening: Aside,
    /// Looking at the files of certificates.
    pub(crate) looking: Aside,
}

/// What it does, and how its configuration came to be in force.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) generation: u64,
    pub(crate) loaded_at: f64,
    pub(crate) last_reload: Option<model::Reload>,
}

impl Running {
    pub(crate) fn new(plane: Arc<DataPlane>, config: Arc<Config>, runtime: Handle, acme: Arc<Acme>) -> Self {
        let standing =
            Standing { state: State::Running, generation: 1, loaded_at: unix_time(), last_reload: None };
        Self {
            plane,
            config: ArcSwap::new(config),
            asked_to_stop: CancellationToken::new(),
            runtime,
            began: Instant::now(),
            standing: Mutex::new(standing),
            changing: tokio::sync::Mutex::default(),
            drains: Drains::default(),
            logs: Mutex::default(),
            manager: Mutex::default(),
            upgrading: Upgrading::default(),
            file: Mutex::default(),
            certificates: Mutex::default(),
            obtaining: Mutex::default(),
            hops: Mutex::default(),
            acme,
            reading: Aside::default(),
            opening: Aside::default(),
            looking: Aside::default(),
        }
    }

    /// The generation in force.
    pub(crate) fn proxy(&self) -> Arc<Generation<TcpDialer>> {
        self.plane.generation()
    }

    /// The configuration whose settings are in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Notes whose settings are in force.
    pub(crate) fn set_config(&self, config: Arc<Config>) {
        self.config.store(config);
    }

    pub(crate) fn state(&self) -> State {
        self.standing.lock().state
    }

    /// Says what it does from now on. Once it has begun to stop nothing else is said any more.
    pub(crate) fn enter(&self, state: State) {
        if matches!(state, State::Leaving | State::Draining) {
            self.proxy().leaving.set(true);
        }
        let mut standing = self.standing.lock();
        match (standing.state, state) {
            (State::Draining, _) | (State::Leaving, State::Running | State::HandingOver) => {}
            (State::Leaving | State::Running | State::HandingOver, _) => standing.state = state,
        }
    }

    /// The process's log, where it may be changed.
    pub(crate) fn logs(&self) -> Option<Logs> {
        self.logs.lock().clone()
    }

    /// The service manager that is told, if there is one.
    pub(crate) fn manager(&self) -> Option<Manager> {
        *self.manager.lock()
    }

    pub(crate) fn stop(&self) {
        self.asked_to_stop.cancel();
    }

    /// Resolves when somebody has called [`stop`](Self::stop). Cancel-safe.
    pub(crate) async fn asked_to_stop(&self) {
        self.asked_to_stop.cancelled().await;
    }
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
