//! The listening sockets of a process: one for each worker behind each listener that is open.
//!
//! A listener is opened in two steps, so that a reload can have all that it needs before it changes anything: the sockets are
//! bound and handed to the workers' reactors, then the accept loops begin. One that is closed accepts what is queued, then
//! closes its sockets: whoever comes later is refused by the kernel, and waits in no queue that nobody serves.

mod inherited;

use std::collections::{HashMap, HashSet};
use std::net::TcpListener as TcpListenerStd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::listen::adopt;
use proxy_core::{ListenError, ListenStep, TcpDialer, TcpListener};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::accept::{Accepting, accept_loop};
use crate::generation::{CurrentListener, Generation, Listener, ListenerInForce};
use crate::settings::{ListenerConfig, Settings};

pub use inherited::Inherited;
use inherited::{address, bind_each, options};

/// How long accept loops that were told to end may take to accept what is queued (a second at most) and to end.
const ENDING: Duration = Duration::from_secs(2);

/// `found`, and copies of them where there are fewer than `workers`: each is accepted from by somebody, and some from the same
/// one. Another one would get clients who are lost if this process does not come to stay.
fn for_each(mut found: Vec<TcpListenerStd>, workers: usize) -> std::io::Result<Vec<TcpListenerStd>> {
    let missing = workers.saturating_sub(found.len());
    let copies = found.iter().cycle().take(missing).map(TcpListenerStd::try_clone);
    let copies = copies.collect::<Result<Vec<_>, _>>()?;
    found.extend(copies);
    Ok(found)
}

/// Sockets of one listener, one or more for each worker, which are not accepted from yet.
#[derive(Debug)]
pub struct Sockets(Vec<Vec<Arc<TcpListener>>>);

/// An open listener, by its name, and its sockets: one for each worker, but where some share one.
pub type Listening = (Arc<str>, Vec<Arc<TcpListener>>);

/// The open listeners.
#[derive(Debug)]
pub struct Listeners {
    workers: Box<[Handle]>,
    /// Connections' tasks.
    tasks: TaskTracker,
    open: Mutex<HashMap<Arc<str>, OpenListener>>,
    /// Somebody else has the sockets too, and accepts from them or will: whoever is queued is theirs.
    shared: Arc<AtomicBool>,
}

/// An open listener.
#[derive(Debug)]
struct OpenListener {
    current: Arc<CurrentListener<TcpDialer>>,
    /// They belong to the accept loops, and are closed with them.
    sockets: Vec<Weak<TcpListener>>,
    /// Ends the accept loops.
    close: CancellationToken,
    loops: TaskTracker,
}

impl Listeners {
    /// None yet, for workers with these runtimes; their connections' tasks are counted in `tasks`.
    #[must_use]
    pub fn new(workers: Vec<Handle>, tasks: TaskTracker) -> Self {
        Self { workers: workers.into(), tasks, open: Mutex::default(), shared: Arc::default() }
    }

    /// The sockets of a listener: those that are bound already, which are taken, or new ones. `ours`: this process has the port
    /// already, on other addresses.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(
        &self,
        settings: &Settings,
        at: &ListenerConfig,
        inherited: &mut Inherited,
        ours: bool,
    ) -> Result<Sockets, ListenError> {
        let failed = |(step, source)| ListenError { addr: address(at), step, source };
        let count = self.workers.len();
        let found = inherited.take(at);
        let sockets = if found.is_empty() {
            let workers = u32::try_from(count).unwrap_or(u32::MAX);
            bind_each(settings, at, ours || inherited.has_port(at.port), workers)?
        } else {
            for socket in &found {
                adopt(socket, &options(settings, at, true))?;
            }
            for_each(found, count).map_err(|source| failed((ListenStep::Socket, source)))?
        };
        let mut by_worker: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for (number, socket) in sockets.into_iter().enumerate() {
            let (Some(own), Some(worker)) =
                (by_worker.get_mut(number % count), self.workers.get(number % count))
            else {
                continue;
            };
            let _in = worker.enter();
            let socket =
                TcpListener::from_std(socket).map_err(|error| failed((ListenStep::Register, error)))?;
            own.push(Arc::new(socket));
        }
        Ok(Sockets(by_worker))
    }

    /// Begins to accept.
    pub fn open(&self, at: &Arc<Listener>, proxy: &Arc<Generation<TcpDialer>>, sockets: Sockets) {
        let in_force = ListenerInForce { at: Arc::clone(at), proxy: Arc::clone(proxy) };
        let listener = OpenListener {
            current: Arc::new(CurrentListener::from_pointee(in_force)),
            sockets: sockets.0.iter().flatten().map(Arc::downgrade).collect(),
            close: CancellationToken::new(),
            loops: TaskTracker::new(),
        };
        for (worker, (handle, sockets)) in self.workers.iter().zip(sockets.0).enumerate() {
            for socket in sockets {
                let (current, shared) = (Arc::clone(&listener.current), Arc::clone(&self.shared));
                let accepting = Accepting { current, worker, tasks: self.tasks.clone(), shared };
                listener.loops.spawn_on(accept_loop(socket, accepting, listener.close.clone()), handle);
            }
        }
        self.open.lock().insert(at.label.name().into(), listener);
    }

    /// Whether the listener of this name is open.
    #[must_use]
    pub fn is_open(&self, label: &str) -> bool {
        self.open.lock().contains_key(label)
    }

    /// The listeners that are open.
    #[must_use]
    pub fn labels(&self) -> Vec<Arc<str>> {
        self.open.lock().keys().cloned().collect()
    }

    /// The listeners that are open, each with its sockets, in the order of the workers. They stay open for as long as whoever
    /// asked has them: copies would need as many descriptors again.
    ///
    /// # Errors
    /// What the system says of a descriptor.
    pub fn sockets(&self) -> std::io::Result<Vec<Listening>> {
        let open = self.open.lock();
        let sockets = |listener: &OpenListener| {
            // Workers may share one.
            let mut seen = HashSet::new();
            let mut sockets = Vec::new();
            for socket in listener.sockets.iter().filter_map(Weak::upgrade) {
                if seen.insert(rustix::fs::fstat(&*socket)?.st_ino) {
                    sockets.push(socket);
                }
            }
            std::io::Result::Ok(sockets)
        };
        open.iter().map(|(label, listener)| Ok((Arc::clone(label), sockets(listener)?))).collect()
    }

    /// Notes that another process has the sockets too: closing them here refuses no client, and the queued ones are left to
    /// that process.
    pub fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    /// Makes the open listeners accept for `proxy`.
    pub fn follow(&self, proxy: &Arc<Generation<TcpDialer>>, before: &Settings) {
        let open = self.open.lock();
        for at in &proxy.listeners {
            let Some(listener) = open.get(&*at.label) else { continue };
            let was = listener
                .current
                .swap(Arc::new(ListenerInForce { at: Arc::clone(at), proxy: Arc::clone(proxy) }));
            let same = was.at.config.backlog == at.config.backlog
                && was.at.config.congestion == at.config.congestion
                && before.keep_alive == proxy.settings.keep_alive;
            if same {
                continue;
            }
            let options = options(&proxy.settings, &at.config, true);
            for socket in listener.sockets.iter().filter_map(Weak::upgrade) {
                if let Err(error) = socket.set_options(&options) {
                    warn!(listener = %at.label, %error, "the listening socket may keep its backlog, keepalive and congestion control");
                }
            }
        }
    }

    /// Accepts what is queued at these listeners, then closes their sockets; returns when they are closed.
    pub async fn close(&self, labels: &[Arc<str>]) {
        let listeners: Vec<_> = {
            let mut open = self.open.lock();
            labels.iter().filter_map(|label| open.remove_entry(label)).collect()
        };
        for (_, listener) in &listeners {
            listener.close.cancel();
            listener.loops.close();
        }
        let until = tokio::time::Instant::now() + ENDING;
        for (label, listener) in &listeners {
            if tokio::time::timeout_at(until, listener.loops.wait()).await.is_err() {
                error!(listener = %label, "a worker does not answer: its listening socket is not closed yet");
            }
        }
    }

    /// Tells every listener to close, and does not wait.
    pub fn abort(&self) {
        for (_, listener) in self.open.lock().drain() {
            listener.close.cancel();
        }
    }
}
