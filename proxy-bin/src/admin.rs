//! What an operator sees and changes while the proxy runs: the admin API, metrics, the dashboard.
//!
//! ```text
//! Unix socket ─┐                        ┌─ /v1/… JSON ── conns, kill, status, events (SSE)
//! loopback TCP ┴─► accept ─► auth ─► api ┼─ /metrics
//!                  reserve   token       └─ / dashboard
//! ```
//! It has a thread and a runtime of its own: it neither waits for the control plane nor takes anything from the workers. It
//! reads what they write through relaxed atomics, and ends connections as the proxy itself does, by a cancel with a reason.
//!
//! What it is not: it keeps no state but what the proxy has; whatever it says was read when it was asked.

mod accept;
mod api;
mod ascending;
mod auth;
mod body;
mod certs;
mod chain;
mod change;
mod clients;
mod connections;
mod counts;
mod endpoint;
mod endpoints;
mod events;
mod filter;
mod findings;
pub(crate) mod fit;
mod grouped;
mod health;
mod history;
mod holder;
mod hop;
mod hops;
mod live;
mod members;
mod metrics;
mod minutes;
mod on_unix;
mod openapi;
mod outcomes;
mod page;
mod problem;
mod process;
mod query;
mod reserve;
mod sampled;
mod seats;
mod socket;
mod socket_file;
mod status;
mod targets;
mod token;
mod trace;
mod traces;
pub(crate) mod view;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::config::{Admin, AdminAddr};
use crate::control::Control;
use accept::{Serving, accept_loop};
use auth::Auth;
use on_unix::OnUnix;
use process::Process;
use proxy_dataplane::descriptors::{self, reserve_of_the_api};
use proxy_dataplane::parked::Parked;
use reserve::Reserve;
use socket_file::{SocketFile, Unbound, Wanted};
use token::Token;

pub use api::Subject;
pub use holder::Holder;
pub use token::TokenError;
pub use traces::Traces;
pub use view::connection as connection_view;

/// Beyond what a request that is being answered may take when the proxy stops.
const STOPPING: Duration = Duration::from_secs(2);

/// Why there is no admin API although there should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The Unix socket could not be made.
    #[error("cannot listen on the admin socket {}: {source}{}", path.display(), bracketed(hint(source)))]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody who lives has the Unix socket.
    #[error("{holder} has the admin socket {}: stop it, or give this one a `socket` of its own in [admin]", path.display())]
    Served {
        /// Where.
        path: PathBuf,
        /// Who.
        holder: Holder,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {addr} for the admin API: {source}")]
    Address {
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The token could not be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Other machines could reach it, and there is no token.
    #[error("the admin API on {addr} needs a token: set `token_file`, or listen on 127.0.0.1 or [::1]")]
    Open {
        /// Where.
        addr: SocketAddr,
    },
    /// Its thread or its runtime could not be made.
    #[error("cannot start the admin API: {0}")]
    Thread(#[source] io::Error),
}

#[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is open-ended; the rest has no hint")]
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "make its folder, or have systemd make it: RuntimeDirectory=smartproxy",
        io::ErrorKind::PermissionDenied => "its folder has to be the proxy's to write to",
        _ => "",
    }
}

fn bracketed(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({hint})") }
}

impl AdminError {
    fn of_socket(path: PathBuf, unbound: Unbound) -> Self {
        match unbound {
            Unbound::Served(holder) => Self::Served { path, holder },
            Unbound::Io(source) => Self::Socket { path, source },
        }
    }
}

/// What an admin API is given by others.
#[derive(Debug, Default)]
pub struct Given {
    /// The socket for `listen`, if that is where it listens.
    pub tcp: Option<std::net::TcpListener>,
    /// The process whose place this one takes: the admin socket's name may be taken from it, and from nobody else who lives. 0
    /// is one that has no number here.
    pub predecessor: Option<u32>,
    /// The user and group whose the Unix socket is to be, for a process that is about to become them.
    pub owner: Option<(u32, u32)>,
}

/// The sockets of an admin API that is not served yet: bound, and its token read, before privileges are given up.
#[derive(Debug)]
pub struct AdminSockets {
    unix: Option<OnUnix>,
    tcp: Option<(std::net::TcpListener, SocketAddr, Auth)>,
    /// A copy of the socket for TCP, for another process to take over.
    kept: Option<std::net::TcpListener>,
    // All that takes a descriptor is had before the first client comes: a crowd that is there already must not keep the API,
    // and with it the proxy, from starting.
    reserve: Reserve,
    process: Process,
    runtime: Parked,
    name: String,
}

impl AdminSockets {
    /// Binds what `[admin]` says.
    ///
    /// # Errors
    /// [`AdminError`]; nothing is left behind.
    pub fn bind(options: &Admin) -> Result<Self, AdminError> {
        Self::bind_with(options, Given::default())
    }

    /// The same, with what there is already.
    ///
    /// # Errors
    /// [`AdminError`]; nothing is left behind.
    pub fn bind_with(options: &Admin, given: Given) -> Result<Self, AdminError> {
        let token = fit::token(options)?;
        let tcp = options.listen.map(|at| listen(at, token, given.tcp)).transpose()?;
        let kept = tcp.as_ref().map(|(listener, ..)| listener.try_clone()).transpose();
        let kept = kept.map_err(AdminError::Thread)?;
        let runtime = Parked::new().map_err(AdminError::Thread)?;
        let name = options.name.as_ref().map(|name| name.as_str().to_owned());
        // Last, when nothing else can fail: from then on its name leads here.
        let unix = options.socket.as_ref().map(|path| {
            let (path, mode) = (path.as_path().to_path_buf(), options.socket_mode.bits());
            let wanted =
                Wanted { path: path.clone(), mode, predecessor: given.predecessor, owner: given.owner };
            let bound = SocketFile::bind(wanted).map_err(|unbound| AdminError::of_socket(path, unbound));
            bound.map(|(file, listener)| OnUnix { file, listener })
        });
        Ok(Self {
            unix: unix.transpose()?,
            tcp,
            kept,
            runtime,
            process: Process::new(),
            reserve: Reserve::new(reserve_of_the_api(descriptors::limit())),
            name: name.unwrap_or_else(view::host_name),
        })
    }

    /// Where it listens for HTTP over TCP, with the port that the kernel chose if it was 0.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, addr, _)| *addr)
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.unix.as_ref().map(|unix| unix.file.path())
    }
}

fn listen(
    at: AdminAddr,
    token: Option<Token>,
    handed_over: Option<std::net::TcpListener>,
) -> Result<(std::net::TcpListener, SocketAddr, Auth), AdminError> {
    let addr = at.socket_addr();
    if token.is_none() && !at.is_loopback() {
        return Err(AdminError::Open { addr });
    }
    let fits = |listener: &std::net::TcpListener| listener.local_addr().is_ok_and(|bound| bound == addr);
    let listener = handed_over.filter(fits).map_or_else(|| open(addr), Ok);
    let bound = listener.and_then(|listener| listener.local_addr().map(|addr| (listener, addr)));
    let (listener, bound) = bound.map_err(|source| AdminError::Address { addr, source })?;
    Ok((listener, bound, Auth { token, loopback: at.is_loopback() }))
}

fn open(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), None)?;
    // Not "may share the port" on Linux, but "may bind while old connections of it are in TIME_WAIT".
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(socket_file::BACKLOG)?;
    Ok(socket.into())
}

/// An admin API that is served. Dropped, it ends: live views are cut, what is being answered has a second.
#[derive(Debug)]
pub struct AdminServer {
    stop: CancellationToken,
    /// Ends the accept loop on TCP.
    release: CancellationToken,
    thread: Option<JoinHandle<()>>,
    addr: Option<SocketAddr>,
    /// The socket for TCP, for another process to take over.
    tcp: Option<std::net::TcpListener>,
    socket: Option<PathBuf>,
}

impl AdminServer {
    /// Serves `subject` on `sockets`, on a thread of its own.
    ///
    /// # Errors
    /// [`AdminError::Thread`].
    pub fn start(sockets: AdminSockets, subject: Subject) -> Result<Self, AdminError> {
        let stop = CancellationToken::new();
        let addr = sockets.addr();
        let socket = sockets.socket().map(Path::to_path_buf);
        let AdminSockets { unix, tcp, kept, reserve, process, runtime, name } = sockets;
        let control = subject.control.clone();
        let runtime_of_control = subject.control.running().runtime.clone();
        let (router, api) = endpoints::router(subject, name, process, stop.clone());
        // It ends with the API.
        drop(runtime_of_control.spawn(hops::watch(api)));
        let release = stop.child_token();
        let serving =
            Serving { router, reserve, tasks: TaskTracker::new(), stop: stop.clone(), until: stop.clone() };
        let until = release.clone();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve((unix, control), tcp, serving, until)))
            .map_err(AdminError::Thread)?;
        let on_unix = socket.as_ref().map(|path| tracing::field::display(path.display()));
        info!(socket = on_unix, addr = addr.map(tracing::field::display), "admin API");
        Ok(Self { stop, release, thread: Some(thread), addr, tcp: kept, socket })
    }

    /// Where it listens for HTTP over TCP, if it does.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Its Unix socket, if it has one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// A copy of the socket for TCP, for another process to take over: for whoever asks first. None if it has none, or if
    /// somebody has it already. (The Unix socket's name is simply taken.)
    #[must_use]
    pub fn tcp_socket(&mut self) -> Option<std::net::TcpListener> {
        self.tcp.take()
    }

    /// Leaves the address to whoever has taken the socket over: nothing new is accepted there, so that requests are not
    /// answered by this process one time and by the other the next.
    pub fn release_address(&self) {
        self.release.cancel();
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the thread of the admin API had panicked");
        }
    }
}

/// Serves until `serving.stop`.
async fn serve(
    (unix, control): (Option<OnUnix>, Control),
    tcp: Option<(std::net::TcpListener, SocketAddr, Auth)>,
    serving: Serving,
    release: CancellationToken,
) {
    let guarded = async |(listener, addr, auth): (std::net::TcpListener, SocketAddr, Auth)| {
        let router: Router = serving.router.clone().layer(from_fn_with_state(Arc::new(auth), auth::check));
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                accept_loop(&listener, Serving { router, until: release.clone(), ..serving.clone() }).await;
            }
            Err(error) => error!(%addr, %error, "the admin address cannot be served"),
        }
    };
    let on_unix = async {
        if let Some(unix) = unix {
            unix.serve(&serving, &control).await;
        }
    };
    let on_tcp = async {
        if let Some(listener) = tcp {
            guarded(listener).await;
        }
    };
    tokio::join!(on_unix, on_tcp);
    serving.tasks.close();
    if tokio::time::timeout(STOPPING, serving.tasks.wait()).await.is_err() {
        error!("connections of the admin API did not end; dropping them");
    }
}
