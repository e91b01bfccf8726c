//! A running proxy: listening sockets, worker threads, starting and stopping.
//!
//! ```text
//! control runtime (caller's) ── signals, names, reloading, stopping
//!   ├─ worker 0: own thread, own runtime, own listening sockets (SO_REUSEPORT) ─ its connections, for life
//!   └─ worker 1: …
//! ```
//! A worker is never asked to do anything slow, and no connection moves between workers. What is changed while it runs is
//! changed through its [`Control`].

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use proxy_conn::{Audit, Reason, Subscriber, Tracker};
use proxy_core::process::pipes;
use proxy_core::{ListenError, Resolver, TcpDialer};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use crate::admin::AdminError;
use crate::audit::Sockets;
use crate::config::{Config, ConfigErrors};
use crate::control::{Control, Running, State};
use crate::descriptors;
use crate::listeners::{Inherited, Listeners};
use crate::proxy::Proxy;
use crate::watch;
use crate::workers::{Idle, Worker};

/// How long connections that are being ended may take to do so. Ending is dropping, except that bytes already read are
/// delivered; 0.6 s is three times what a loaded worker needs for ten thousand, and leaves some of the second within which
/// the process is to have ended.
const ENDING: Duration = Duration::from_millis(600);

/// The same where nobody wants to wait: the process has 0.3 s then.
const ENDING_AT_ONCE: Duration = Duration::from_millis(100);

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It is not for this machine, or not for this user.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// There is no admin API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A worker thread or its runtime could not be made.
    #[error("cannot start worker {worker}: {source}")]
    Worker {
        /// Which worker.
        worker: usize,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How a proxy stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every connection finished by itself.
    Finished,
    /// This many had to be ended.
    Ended(usize),
}

/// A running proxy. Dropped without [`stop`](Self::stop), it ends every connection at once.
#[derive(Debug)]
pub struct Server {
    control: Control,
    /// Cancelled once nobody is accepted any more: from then on no target need be found in order again.
    accepts: CancellationToken,
    threads: Vec<JoinHandle<()>>,
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
        sockets_are: Sockets,
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
        mut inherited: Inherited,
        control: &Handle,
        sockets_are: Sockets,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        config.suits_this_machine()?;
        let count = config.workers.get() as usize;
        // First, since listening takes descriptors too.
        let descriptors = descriptors::raise_limit();
        debug!(descriptors, "limit of open files");
        pipes::at_most(descriptors::pipes(descriptors));
        let (workers, runtimes) = runtimes(count)?;
        let tasks = TaskTracker::new();
        let listeners =
            Listeners::new(workers.iter().map(|worker| worker.handle().clone()).collect(), tasks.clone());
        let sockets = config.listeners.iter().map(|at| listeners.bind(&config, at, &mut inherited, false));
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        drop(inherited);
        let resolver =
            Resolver::system(control.clone(), descriptors::look_ups(descriptors), config.dns.options());
        let dialer = TcpDialer::new(config.congestion);
        let proxy = Arc::new(Proxy::new(config, Tracker::new(count, ends), dialer, resolver));
        let running =
            Running::new(Arc::clone(&proxy), listeners, workers, tasks, control.clone(), sockets_are);
        let accepts = running.quit.child_token();
        let mut server = Self { control: Control::new(running), accepts, threads: Vec::with_capacity(count) };
        let quit = &server.control.running().quit;
        // The control plane's own tasks end with the workers.
        drop(control.spawn(watch::watch(Arc::clone(server.control.in_force()), quit.clone())));
        drop(control.spawn(server.audit().clone().watch(quit.clone().cancelled_owned())));
        // On a worker, whose reactor is there for sockets.
        if let Some(worker) = server.control.workers().first() {
            drop(worker.handle().spawn(Arc::clone(&proxy).recover(server.accepts.clone())));
        }
        for (number, runtime) in runtimes.into_iter().enumerate() {
            let Some(worker) = server.control.workers().get(number) else { continue };
            let thread = worker.start(number, runtime, server.control.running().quit.clone());
            let thread = thread.map_err(|source| StartError::Worker { worker: number, source })?;
            server.threads.push(thread);
        }
        for (at, sockets) in proxy.listeners.iter().zip(sockets) {
            server.control.running().listeners.open(at, &proxy, sockets);
        }
        server.control.watch_file();
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
        let delay = self.control.proxy().config.shutdown_delay.get();
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
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) -> Stopped {
        // Whoever reads a file, or hands over, lets go of it.
        self.control.stop();
        self.control.enter(State::Draining);
        // Where another process serves, the service does not stop.
        if let Some(manager) = self.control.manager().filter(|_| !self.control.is_handed_over()) {
            manager.stopping();
            if manager.keeps_sockets() {
                self.control.running().listeners.share();
            }
        }
        let until = Instant::now() + self.control.proxy().config.graceful_shutdown_timeout.get();
        let (running, accepts) = (Arc::clone(self.control.running()), self.accepts.clone());
        let closing = async {
            // A reload or a drain under way would open listeners anew. One that hangs is not waited for longer than clients are.
            let alone = tokio::time::timeout_at(until, running.changing.lock()).await;
            // What a loop has just accepted has its entry before anybody looks whether all are gone.
            running.listeners.close(&running.listeners.labels()).await;
            accepts.cancel();
            drop(alone);
        };
        let tracker = Arc::clone(self.tracker());
        let finishing = async {
            closing.await;
            info!(connections = tracker.len(), "stopped accepting");
            tokio::time::timeout_at(until, tracker.emptied()).await.is_ok()
        };
        let (finished, patience) = tokio::select! {
            finished = finishing => (finished, ENDING),
            () = hurry => (false, ENDING_AT_ONCE),
        };
        let stopped =
            if finished { Stopped::Finished } else { Stopped::Ended(tracker.cancel_all(Reason::Shutdown)) };
        running.tasks.close();
        if tokio::time::timeout(patience, running.tasks.wait()).await.is_err() {
            error!(connections = tracker.len(), "connections did not end when told to; dropping them");
        }
        self.join();
        stopped
    }

    /// Ends the workers, and with them every task that is left.
    fn join(&mut self) {
        let running = self.control.running();
        running.listeners.abort();
        running.quit.cancel();
        self.control.forget_file();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a worker thread had panicked");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}

/// Workers without threads yet, and their runtimes.
fn runtimes(count: usize) -> Result<(Vec<Worker>, Vec<Idle>), StartError> {
    let runtime = |worker| Worker::new().map_err(|source| StartError::Worker { worker, source });
    let both = (0..count).map(runtime).collect::<Result<Vec<_>, _>>()?;
    Ok(both.into_iter().unzip())
}
