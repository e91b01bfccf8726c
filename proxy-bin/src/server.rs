//! A running proxy: listening sockets, worker threads, starting and stopping.
//!
//! ```text
//! control runtime (caller's) ── signals, names, stopping
//!   ├─ worker 0: own thread, own runtime, own listening sockets (SO_REUSEPORT) ─ its connections, for life
//!   └─ worker 1: …
//! ```
//! A worker is never asked to do anything slow, and no connection moves between workers.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use proxy_conn::{Audit, Reason, Subscriber, Tracker};
use proxy_core::listen::{ListenOptions, bind};
use proxy_core::pipe;
use proxy_core::{BindAddr, ListenError, Resolver, TcpDialer, TcpListener};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use crate::accept::{Accepting, accept_loop};
use crate::admin::AdminError;
use crate::audit::{Sockets, audit};
use crate::config::{Config, ListenerConfig};
use crate::descriptors;
use crate::pool::Pool;
use crate::proxy::{Listener, Proxy};
use crate::watch;

/// How long connections that are being ended may take to do so. Ending is dropping, except that bytes already read are
/// delivered; two seconds is ten times what a loaded worker needs for ten thousand.
const ENDING: Duration = Duration::from_secs(2);

/// How often a worker looks after itself: it lets go of pipes that nobody borrowed since. And with this timer always armed,
/// a connection's deadline is never the nearest, so setting one does not wake the reactor (a system call and a turn each).
const BEAT: Duration = Duration::from_millis(500);

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
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

/// Listening sockets that somebody else has bound, by the address that the configuration knows them by.
pub type Bound = HashMap<SocketAddr, std::net::TcpListener>;

/// A running proxy. Dropped without [`stop`](Self::stop), it ends every connection at once.
#[derive(Debug)]
pub struct Server {
    proxy: Arc<Proxy<TcpDialer>>,
    /// Ends the accept loops, which closes the listening sockets.
    stop: CancellationToken,
    /// Ends the workers.
    quit: CancellationToken,
    /// Connections' tasks, and nothing else.
    tasks: TaskTracker,
    /// Accept loops' tasks.
    loops: TaskTracker,
    workers: Vec<JoinHandle<()>>,
    audit: Audit,
}

/// A listening socket and what it is for.
struct Listening {
    socket: std::net::TcpListener,
    at: Arc<Listener>,
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
        Self::start_with(config, &Bound::new(), control, sockets_are, ends)
    }

    /// The same with some sockets bound already.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn start_with(
        config: Config,
        bound: &Bound,
        control: &Handle,
        sockets_are: Sockets,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        let workers = config.workers.get() as usize;
        // First, since listening takes descriptors too.
        let descriptors = descriptors::raise_limit();
        debug!(descriptors, "limit of open files");
        pipe::at_most(descriptors::pipes(descriptors));
        let sockets = bind_all(&config, bound)?;
        let resolver = Resolver::system(control.clone(), config.dns.options());
        let proxy = Arc::new(Proxy::new(config, Tracker::new(workers, ends), TcpDialer, resolver));
        let tasks = TaskTracker::new();
        let mut server = Self {
            audit: audit(&proxy, &tasks, sockets_are),
            proxy,
            stop: CancellationToken::new(),
            quit: CancellationToken::new(),
            tasks,
            loops: TaskTracker::new(),
            workers: Vec::with_capacity(workers),
        };
        // The control plane's own tasks end with the workers.
        drop(control.spawn(watch::watch(Arc::clone(&server.proxy), server.quit.clone())));
        drop(control.spawn(server.audit.clone().watch(server.quit.clone().cancelled_owned())));
        for (worker, sockets) in sockets.into_iter().enumerate() {
            let sockets = sockets
                .into_iter()
                .zip(&server.proxy.listeners)
                .map(|(socket, at)| Listening { socket, at: Arc::clone(at) });
            let sockets = sockets.collect();
            let thread = server
                .start_worker(worker, sockets)
                .map_err(|source| StartError::Worker { worker, source })?;
            server.workers.push(thread);
        }
        Ok(server)
    }

    fn start_worker(&self, worker: usize, sockets: Vec<Listening>) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (proxy, tasks, loops) = (Arc::clone(&self.proxy), self.tasks.clone(), self.loops.clone());
        let (stop, quit) = (self.stop.clone(), self.quit.clone());
        std::thread::Builder::new().name(format!("worker-{worker}")).spawn(move || {
            runtime.block_on(async {
                for Listening { socket, at } in sockets {
                    let label = Arc::clone(&at.label);
                    let accepting = Accepting { at, worker, proxy: Arc::clone(&proxy), tasks: tasks.clone() };
                    match TcpListener::from_std(socket) {
                        Ok(listener) => drop(loops.spawn(accept_loop(listener, accepting, stop.clone()))),
                        Err(error) => error!(listener = %label, %error, "cannot listen"),
                    }
                }
                drop(proxy);
                let mut beats = tokio::time::interval(BEAT);
                while quit.run_until_cancelled(beats.tick()).await.is_some() {
                    pipe::release_idle();
                }
            });
        })
    }

    /// What its connections share.
    #[must_use]
    pub fn proxy(&self) -> &Arc<Proxy<TcpDialer>> {
        &self.proxy
    }

    /// The table of its connections.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.proxy.tracker
    }

    /// The audit of its connections: to run one now, and for its heartbeat.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// How many connections hold a permit of the global limit.
    #[must_use]
    pub fn permits_in_use(&self) -> usize {
        self.proxy.connections.in_use()
    }

    /// Its pools, with how hard pressed each is.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.proxy.pools
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.proxy.config
    }

    /// Stops accepting, lets connections finish for `graceful_shutdown_timeout` or until `hurry` resolves, then ends
    /// those that are left.
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) -> Stopped {
        self.stop.cancel();
        // What a loop has just accepted has its entry before anybody looks whether all are gone.
        self.loops.close();
        if tokio::time::timeout(ENDING, self.loops.wait()).await.is_err() {
            error!("a worker does not answer");
        }
        let tracker = Arc::clone(self.tracker());
        info!(connections = tracker.len(), "stopped accepting");
        let finished = tokio::select! {
            () = tracker.emptied() => true,
            () = tokio::time::sleep(self.config().graceful_shutdown_timeout.get()) => false,
            () = hurry => false,
        };
        let stopped =
            if finished { Stopped::Finished } else { Stopped::Ended(tracker.cancel_all(Reason::Shutdown)) };
        self.tasks.close();
        if tokio::time::timeout(ENDING, self.tasks.wait()).await.is_err() {
            error!(connections = tracker.len(), "connections did not end when told to; dropping them");
        }
        self.join();
        stopped
    }

    /// Ends the workers, and with them every task that is left.
    fn join(&mut self) {
        self.stop.cancel();
        self.quit.cancel();
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
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

/// A set of sockets for each worker, in the order of the listeners.
fn bind_all(config: &Config, bound: &Bound) -> Result<Vec<Vec<std::net::TcpListener>>, StartError> {
    // First each port alone: sharing is for our own workers, not for another process that happens to share too.
    for at in &config.listeners {
        if find_bound(bound, at).is_none() {
            drop(bind(at.bind, at.port, &options(config, at, false))?);
        }
    }
    (0..config.workers.get())
        .map(|_| config.listeners.iter().map(|at| listen(config, bound, at)).collect())
        .collect()
}

fn listen(config: &Config, bound: &Bound, at: &ListenerConfig) -> Result<std::net::TcpListener, StartError> {
    match find_bound(bound, at) {
        Some((addr, socket)) => Ok(socket.try_clone().map_err(|source| ListenError { addr, source })?),
        None => Ok(bind(at.bind, at.port, &options(config, at, true))?),
    }
}

fn find_bound<'b>(bound: &'b Bound, at: &ListenerConfig) -> Option<(SocketAddr, &'b std::net::TcpListener)> {
    let BindAddr::Ip(ip) = at.bind else { return None };
    let addr = SocketAddr::new(ip, at.port);
    bound.get(&addr).map(|socket| (addr, socket))
}

fn options(config: &Config, at: &ListenerConfig, reuse_port: bool) -> ListenOptions {
    ListenOptions { backlog: at.backlog.get(), reuse_port, keep_alive: config.keep_alive }
}
