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

use proxy_conn::{Limit, Reason, Subscriber, Tracker};
use proxy_core::listen::{ListenOptions, bind};
use proxy_core::{BindAddr, ListenError, Resolver, TcpDialer, TcpListener};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::accept::{Accepting, accept_loop};
use crate::config::{Config, ListenerConfig};
use crate::descriptors;
use crate::proxy::Proxy;

/// How long connections that are being ended may take to do so. Ending is dropping, except that bytes already read are
/// delivered; two seconds is ten times what a loaded worker needs for ten thousand.
const ENDING: Duration = Duration::from_secs(2);

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
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
    tasks: TaskTracker,
    workers: Vec<JoinHandle<()>>,
}

/// A listening socket and what it is for.
struct Listening {
    socket: std::net::TcpListener,
    at: Arc<ListenerConfig>,
}

impl Server {
    /// Binds every listener and starts the workers. Look-ups run on `control`.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn start(
        config: Config,
        control: Handle,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        Self::start_with(config, &Bound::new(), control, ends)
    }

    /// The same with some sockets bound already.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn start_with(
        config: Config,
        bound: &Bound,
        control: Handle,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        let workers = config.workers.get() as usize;
        let sockets = bind_all(&config, bound)?;
        let proxy = Arc::new(Proxy {
            tracker: Tracker::new(workers, ends),
            connections: Limit::new(max_connections(&config)),
            dialer: TcpDialer,
            resolver: Resolver::system(control, config.dns.options()),
            config,
        });
        let mut server = Self {
            proxy,
            stop: CancellationToken::new(),
            quit: CancellationToken::new(),
            tasks: TaskTracker::new(),
            workers: Vec::with_capacity(workers),
        };
        for (worker, sockets) in sockets.into_iter().enumerate() {
            let thread = server
                .start_worker(worker, sockets)
                .map_err(|source| StartError::Worker { worker, source })?;
            server.workers.push(thread);
        }
        Ok(server)
    }

    fn start_worker(&self, worker: usize, sockets: Vec<Listening>) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (proxy, tasks) = (Arc::clone(&self.proxy), self.tasks.clone());
        let (stop, quit) = (self.stop.clone(), self.quit.clone());
        std::thread::Builder::new().name(format!("worker-{worker}")).spawn(move || {
            runtime.block_on(async {
                for Listening { socket, at } in sockets {
                    let label: Arc<str> = at.label.as_str().into();
                    let accepting = Accepting {
                        at,
                        label: Arc::clone(&label),
                        worker,
                        proxy: Arc::clone(&proxy),
                        tasks: tasks.clone(),
                    };
                    match TcpListener::from_std(socket) {
                        Ok(listener) => drop(tasks.spawn(accept_loop(listener, accepting, stop.clone()))),
                        Err(error) => error!(listener = %label, %error, "cannot listen"),
                    }
                }
                drop(proxy);
                quit.cancelled().await;
            });
        })
    }

    /// The table of its connections.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.proxy.tracker
    }

    /// How many connections hold a permit of the global limit.
    #[must_use]
    pub fn permits_in_use(&self) -> usize {
        self.proxy.connections.in_use()
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

/// What the configuration says, or what there are descriptors for.
pub(crate) fn max_connections(config: &Config) -> usize {
    let room = || descriptors::room_for_connections(descriptors::raise_limit());
    config.limits.max_connections.map_or_else(room, |most| most.get() as usize)
}

/// A set of sockets for each worker.
fn bind_all(config: &Config, bound: &Bound) -> Result<Vec<Vec<Listening>>, StartError> {
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

fn listen(config: &Config, bound: &Bound, at: &ListenerConfig) -> Result<Listening, StartError> {
    let socket = match find_bound(bound, at) {
        Some((addr, socket)) => socket.try_clone().map_err(|source| ListenError { addr, source })?,
        None => bind(at.bind, at.port, &options(config, at, true))?,
    };
    Ok(Listening { socket, at: Arc::new(at.clone()) })
}

fn find_bound<'b>(bound: &'b Bound, at: &ListenerConfig) -> Option<(SocketAddr, &'b std::net::TcpListener)> {
    let BindAddr::Ip(ip) = at.bind else { return None };
    let addr = SocketAddr::new(ip, at.port);
    bound.get(&addr).map(|socket| (addr, socket))
}

fn options(config: &Config, at: &ListenerConfig, reuse_port: bool) -> ListenOptions {
    ListenOptions { backlog: at.backlog.get(), reuse_port, keep_alive: config.keep_alive }
}
