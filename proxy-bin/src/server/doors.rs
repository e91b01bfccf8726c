//! The listening sockets of a process: one for each worker behind each listener that is open.
//!
//! A door is opened in two steps, so that a reload can have all that it needs before it changes anything: the sockets are
//! bound and handed to the workers' reactors, then the accept loops begin. A door that is shut accepts what is queued, then
//! closes its sockets: whoever comes later is refused by the kernel, and waits in no queue that nobody serves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::listen::{ListenOptions, bind};
use proxy_core::{BindAddr, ListenError, TcpDialer, TcpListener};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::Bound;
use crate::accept::{Accepting, Entrance, Seat, accept_loop};
use crate::config::{Config, ListenerConfig};
use crate::proxy::{Listener, Proxy};

/// How long accept loops that were told to end may take to accept what is queued (a second at most) and to end.
const ENDING: Duration = Duration::from_secs(2);

/// Sockets of one listener, one for each worker, which nobody accepts from yet.
#[derive(Debug)]
pub(crate) struct Sockets(Vec<Arc<TcpListener>>);

/// The open listeners.
#[derive(Debug)]
pub(crate) struct Doors {
    workers: Box<[Handle]>,
    /// Connections' tasks.
    tasks: TaskTracker,
    open: Mutex<HashMap<Arc<str>, Door>>,
}

/// An open listener.
#[derive(Debug)]
struct Door {
    entrance: Arc<Entrance<TcpDialer>>,
    /// They belong to the accept loops, and are closed with them.
    sockets: Vec<Weak<TcpListener>>,
    /// Ends the accept loops.
    shut: CancellationToken,
    loops: TaskTracker,
}

impl Doors {
    pub(crate) fn new(workers: Vec<Handle>, tasks: TaskTracker) -> Self {
        Self { workers: workers.into(), tasks, open: Mutex::default() }
    }

    /// Binds the sockets of a listener. `ours`: this process has the port already, on other addresses.
    pub(crate) fn bind(
        &self,
        config: &Config,
        at: &ListenerConfig,
        bound: &Bound,
        ours: bool,
    ) -> Result<Sockets, ListenError> {
        let found = find_bound(bound, at);
        // First the port alone: sharing is for our own workers, not for another process that happens to share too.
        if found.is_none() && !ours {
            drop(bind(at.bind, at.port, &options(config, at, false))?);
        }
        let sockets = self.workers.iter().map(|worker| {
            let (addr, socket) = match found {
                Some((addr, socket)) => (addr, socket.try_clone()),
                None => {
                    let socket = bind(at.bind, at.port, &options(config, at, true))?;
                    (address(at), Ok(socket))
                }
            };
            let _in = worker.enter();
            let socket = socket.and_then(TcpListener::from_std);
            socket.map(Arc::new).map_err(|source| ListenError { addr, source })
        });
        sockets.collect::<Result<_, _>>().map(Sockets)
    }

    /// Begins to accept.
    pub(crate) fn open(&self, at: &Arc<Listener>, proxy: &Arc<Proxy<TcpDialer>>, sockets: Sockets) {
        let seat = Seat { at: Arc::clone(at), proxy: Arc::clone(proxy) };
        let door = Door {
            entrance: Arc::new(Entrance::from_pointee(seat)),
            sockets: sockets.0.iter().map(Arc::downgrade).collect(),
            shut: CancellationToken::new(),
            loops: TaskTracker::new(),
        };
        for (worker, (handle, socket)) in self.workers.iter().zip(sockets.0).enumerate() {
            let entrance = Arc::clone(&door.entrance);
            let accepting = Accepting { entrance, worker, tasks: self.tasks.clone() };
            door.loops.spawn_on(accept_loop(socket, accepting, door.shut.clone()), handle);
        }
        self.open.lock().insert(Arc::clone(&at.label), door);
    }

    /// Whether the listener of this name is open.
    pub(crate) fn is_open(&self, label: &str) -> bool {
        self.open.lock().contains_key(label)
    }

    /// The listeners that are open.
    pub(crate) fn labels(&self) -> Vec<Arc<str>> {
        self.open.lock().keys().cloned().collect()
    }

    /// The listeners that are open, each with copies of its sockets: one for each worker, in their order.
    pub(crate) fn sockets(&self) -> std::io::Result<Vec<(Arc<str>, Vec<OwnedFd>)>> {
        let open = self.open.lock();
        let copies = |door: &Door| {
            let sockets = door.sockets.iter().filter_map(Weak::upgrade);
            sockets.map(|socket| socket.as_fd().try_clone_to_owned()).collect::<std::io::Result<_>>()
        };
        open.iter().map(|(label, door)| Ok((Arc::clone(label), copies(door)?))).collect()
    }

    /// Makes the open listeners accept for `proxy`.
    pub(crate) fn follow(&self, proxy: &Arc<Proxy<TcpDialer>>, before: &Config) {
        let open = self.open.lock();
        for at in &proxy.listeners {
            let Some(door) = open.get(&at.label) else { continue };
            let was = door.entrance.swap(Arc::new(Seat { at: Arc::clone(at), proxy: Arc::clone(proxy) }));
            if was.at.config.backlog == at.config.backlog && before.keep_alive == proxy.config.keep_alive {
                continue;
            }
            let options = options(&proxy.config, &at.config, true);
            for socket in door.sockets.iter().filter_map(Weak::upgrade) {
                if let Err(error) = socket.set_options(&options) {
                    warn!(listener = %at.label, %error, "the listening socket keeps its backlog and keepalive");
                }
            }
        }
    }

    /// Accepts what is queued at these listeners, then closes their sockets; returns when they are closed.
    pub(crate) async fn shut(&self, labels: &[Arc<str>]) {
        let doors: Vec<_> = {
            let mut open = self.open.lock();
            labels.iter().filter_map(|label| open.remove_entry(label)).collect()
        };
        for (_, door) in &doors {
            door.shut.cancel();
            door.loops.close();
        }
        let until = tokio::time::Instant::now() + ENDING;
        for (label, door) in &doors {
            if tokio::time::timeout_at(until, door.loops.wait()).await.is_err() {
                error!(listener = %label, "a worker does not answer: its listening socket is not closed yet");
            }
        }
    }

    /// Tells every listener to close, and does not wait.
    pub(crate) fn slam(&self) {
        for (_, door) in self.open.lock().drain() {
            door.shut.cancel();
        }
    }
}

/// The address that a listener has in errors and among those that are bound already.
fn address(at: &ListenerConfig) -> SocketAddr {
    match at.bind {
        BindAddr::Ip(ip) => SocketAddr::new(ip, at.port),
        BindAddr::Dual => (std::net::Ipv6Addr::UNSPECIFIED, at.port).into(),
    }
}

fn find_bound<'b>(bound: &'b Bound, at: &ListenerConfig) -> Option<(SocketAddr, &'b std::net::TcpListener)> {
    let addr = address(at);
    bound.get(&addr).filter(|_| at.bind != BindAddr::Dual).map(|socket| (addr, socket))
}

fn options(config: &Config, at: &ListenerConfig, reuse_port: bool) -> ListenOptions {
    ListenOptions { backlog: at.backlog.get(), reuse_port, keep_alive: config.keep_alive }
}
