//! A running proxy with what goes on around it: its configuration, and who may change it.
//!
//! What happens to connections is the data plane's ([`proxy_dataplane::Server`]); here it is started from a configuration, told to
//! the service manager, and stopped. What is changed while it runs is changed through its [`Control`].

use std::future::Future;
use std::sync::Arc;

use proxy_acme::Acme;
use proxy_conn::{Audit, Subscriber, Tracker};
use proxy_dataplane::audit::SocketOwnership;
use proxy_dataplane::listeners::Inherited;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::info;

pub use proxy_dataplane::server::Stopped;

use crate::admin::AdminError;
use crate::config::{AdminAddr, Config, ConfigErrors};
use crate::control::{Control, Running, State, begin_to_obtain};

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is not for this machine, or not for this user.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// There is no admin API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// There is no folder for the certificates that are obtained.
    #[error(transparent)]
    Certificates(#[from] proxy_acme::StorageError),
    /// A port could not be listened on, or a worker could not be made.
    #[error(transparent)]
    Plane(#[from] proxy_dataplane::server::StartError),
}

/// A running proxy. Dropped without [`stop`](Self::stop), it ends every connection at once.
#[derive(Debug)]
pub struct Server {
    control: Control,
    plane: proxy_dataplane::Server,
}

impl Server {
    /// Binds every listener and starts the workers. Look-ups, watch and audit run on `control`; the audit takes sockets in
    /// no entry for orphans only where the process's sockets are its own.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn start(
        config: Config,
        control: &Handle,
        sockets_are: SocketOwnership,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        Self::start_with(config, Inherited::new(), control, sockets_are, ends)
    }

    /// The same with some sockets bound already. Those that are for no listener are closed.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn start_with(
        config: Config,
        inherited: Inherited,
        control: &Handle,
        sockets_are: SocketOwnership,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        config.suits_this_machine()?;
        let config = Arc::new(config);
        let acme = Arc::new(Acme::default());
        begin_to_obtain(&acme, &config)?;
        let api = config.admin.as_ref().and_then(|admin| admin.listen).map(AdminAddr::socket_addr);
        let plane = proxy_dataplane::Server::start(
            Arc::clone(&config.settings),
            inherited,
            control,
            sockets_are.but(api),
            ends,
        )?;
        config.certificates.put_in_force();
        let running = Running::new(Arc::clone(plane.plane()), config, control.clone(), acme);
        let server = Self { control: Control::new(running), plane };
        server.control.watch_file();
        server.control.watch_certificates();
        server.control.obtain_certificates();
        Ok(server)
    }

    /// The handle by which it is looked at and changed while it runs.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The table of its connections.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        self.control.tracker()
    }

    /// The audit of its connections: to run one now, and for its heartbeat.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        self.control.audit()
    }

    /// How many connections hold a permit of the global limit.
    #[must_use]
    pub fn permits_in_use(&self) -> usize {
        self.control.proxy().connections.in_use()
    }

    /// Says that it is about to stop, so that whoever asks whether it is ready sends nobody any more, and goes on accepting;
    /// returns when it is to be stopped: after `shutdown_delay`, or at once where there is none, or where another process serves.
    /// Cancel-safe.
    pub async fn leave(&self) {
        let delay = self.control.config().shutdown_delay.get();
        let Some(delay) = delay.filter(|_| !self.control.is_handed_over()) else { return };
        self.control.enter(State::Leaving);
        if let Some(manager) = self.control.manager() {
            manager.stopping();
        }
        info!(%delay, "not ready any more, and accepting for as long as shutdown_delay says");
        tokio::time::sleep(delay.get()).await;
    }

    /// Stops accepting, lets connections finish for `graceful_shutdown_timeout` or until `hurry` resolves, then ends
    /// those that are left. Nothing can be changed any more once this is called.
    pub async fn stop(self, hurry: impl Future<Output = ()>) -> Stopped {
        // Whoever reads a file, or hands over, lets go of it.
        self.control.stop();
        self.control.enter(State::Draining);
        let running = Arc::clone(self.control.running());
        // Where another process serves, the service does not stop.
        if let Some(manager) = self.control.manager().filter(|_| !self.control.is_handed_over()) {
            manager.stopping();
            if manager.keeps_sockets() {
                running.plane.listeners().share();
            }
        }
        let until = Instant::now() + self.control.config().graceful_shutdown_timeout.get();
        // A reload or a drain under way would open listeners anew. One that hangs is not waited for longer than clients are.
        let stopped = self.plane.stop(until, running.changing.lock(), hurry).await;
        self.control.forget_files();
        stopped
    }
}
