//! The leaky proxy on a port of this machine.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use proxy_conn::Phase;
use proxy_core::TcpDialer;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::laws::{Entry, Levels};
use crate::leaky::{Leaky, LeakyOptions};

/// A [`Leaky`] proxy over TCP, on the runtime of the test. Dropped, it stops accepting; its connections are left to their
/// own devices.
#[derive(Debug)]
pub struct LeakyHop {
    proxy: Arc<Leaky<TcpDialer>>,
    addr: SocketAddr,
    tasks: TaskTracker,
    _accepting: JoinSet<()>,
}

impl LeakyHop {
    /// Starts one.
    #[must_use]
    pub fn start(options: LeakyOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        listener.set_nonblocking(true).expect("it is a socket");
        let addr = listener.local_addr().expect("it is bound");
        let listener = proxy_core::TcpListener::from_std(listener).expect("a runtime is there");
        let (proxy, tasks) = (Leaky::new(options, TcpDialer::default()), TaskTracker::new());
        let mut accepting = JoinSet::new();
        accepting.spawn(Arc::clone(&proxy).accept(listener, tasks.clone(), CancellationToken::new()));
        Self { proxy, addr, tasks, _accepting: accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it holds, as its own books have it, with its tasks.
    #[must_use]
    pub fn levels(&self) -> Levels {
        Levels { tasks: Some(self.tasks.len()), ..self.proxy.levels() }
    }

    /// Its connections.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.proxy.entries()
    }

    /// The phases that each connection since the last call has gone through, once it has ended.
    #[must_use]
    pub fn take_paths(&self) -> Vec<(String, Vec<Phase>)> {
        self.proxy.take_paths()
    }
}
