//! `smartproxy run`: from the command line to a process that serves, is somebody, and can be replaced.
//!
//! ```text
//! signals ─► predecessor? ─► configuration ─► log, ports, admin API ─► privileges go ─► workers ─► ready ─► signals
//! ```
//! Whatever can fail for what the configuration says does so before the first connection is accepted; and where a predecessor
//! serves, before it is told to go.

mod demo;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use proxy_bin::admin::{AdminServer, AdminSockets, Given as AdminGiven, Subject, Traces};
use proxy_bin::config::Config;
use proxy_bin::control::{self, Upgradable};
use proxy_bin::handover::{Passed, Predecessor, Program, predecessor};
use proxy_bin::logging::Logs;
use proxy_bin::privileges::{self, Identity, keep_to_itself};
use proxy_bin::server::Server;
use proxy_bin::systemd::Manager;
use proxy_bin::told::told;
use proxy_bin::watchdog;
use proxy_core::ListenError;
use proxy_core::process::memory;
use proxy_dataplane::audit::SocketOwnership;
use proxy_dataplane::listeners::Inherited;
use proxy_dataplane::server::StartError as PlaneError;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::signals::{Ending, Signals};
use crate::{control_runtime, load, serving, taken};

pub(crate) use demo::demo;

const PORT_HINT: &str = "change the route's match.ports, or stop the process that has it";
const ADMIN_HINT: &str = "change [admin] listen, or stop the process that has it";

/// Runs a configuration until somebody stops it; the keys of TLS sessions are written to `key_log`, if there is one.
///
/// # Errors
/// Why it could not start.
pub(crate) fn run(path: &Path, key_log: Option<&Path>, activated: Vec<OwnedFd>) -> anyhow::Result<ExitCode> {
    // First: a signal that comes while it starts is none that ends it, or is lost.
    let signals = Signals::catch()?;
    let program = Program::of_this_process().context("cannot tell which program this is")?;
    // Whoever hands over does so through standard input.
    let (mut predecessor, passed) = predecessor()?.unzip();
    let inherited = Handed { passed: passed.unwrap_or_default(), activated };
    // Before the configuration is read: what is made of it knows where keys go.
    let logged = key_log.map_or(Ok(()), proxy_tls::log_keys_to);
    let logged = logged.context("cannot open the file of --tls-key-log");
    let outcome = logged.and_then(|()| start(path, key_log, program, &signals, &mut predecessor, inherited));
    if let (Err(error), Some(predecessor)) = (&outcome, predecessor) {
        // It has gone itself, if it cannot be told.
        predecessor.failed(&told(error.as_ref())).unwrap_or_default();
    }
    outcome
}

/// Sockets that are there before this process opens any.
struct Handed {
    /// From a process whose place this one takes.
    passed: Vec<Passed>,
    /// From a service manager.
    activated: Vec<OwnedFd>,
}

/// What [`run`] does, with a predecessor who is told of it if it fails, and taken when it is told that it can go.
fn start(
    path: &Path,
    key_log: Option<&Path>,
    program: Program,
    signals: &Signals,
    predecessor: &mut Option<Predecessor>,
    inherited: Handed,
) -> anyhow::Result<ExitCode> {
    let Some(config) = load(path) else {
        return if predecessor.is_some() {
            Err(anyhow::anyhow!("{} is refused: `smartproxy check` says why", path.display()))
        } else {
            Ok(ExitCode::FAILURE)
        };
    };
    // Reading it takes several times as much memory as keeping it.
    memory::release();
    let identity = privileges::identity(&config.process)?;
    keep_to_itself(&config.process);
    if let Some(identity) = &identity {
        // Threads that are made from here on are born so.
        identity.confine()?;
        signals.confine().context("cannot give up what root may do")?;
    }
    let (logs, _end) = Logs::start_for(&config.log, identity.as_ref())?;
    if let Some(file) = key_log {
        warn!("--tls-key-log: whoever reads {} can decrypt the TLS of this process", file.display());
    }
    let Given { mut bound, admin: admin_port, history, tickets } = given(inherited);
    if let Some(tickets) = tickets {
        control::take_over_tickets(config.certificates.registry().tickets(), tickets);
    }
    bound.bind_missing(&config.settings).map_err(|error| untaken(error, &bound, &config))?;
    let admin = Admin { port: admin_port, waits_for: predecessor.as_ref().map(Predecessor::process) };
    let sockets = if admin.waits_for.is_some() { None } else { admin.bind(&config, identity.as_ref())? };
    if let Some(identity) = identity {
        identity.assume()?;
        keep_to_itself(&config.process);
    }
    let runtime = control_runtime()?;
    let start = Start { config, bound, history, sockets, admin, predecessor, program, logs };
    let outcome = runtime.block_on(serve(start, signals));
    serving::over(runtime, outcome)
}

/// What there is to serve with.
struct Start<'p> {
    config: Config,
    bound: Inherited,
    /// What the predecessor knows of the past.
    history: Option<OwnedFd>,
    sockets: Option<AdminSockets>,
    admin: Admin,
    predecessor: &'p mut Option<Predecessor>,
    program: Program,
    logs: Logs,
}

async fn serve(start: Start<'_>, signals: &Signals) -> anyhow::Result<Ending> {
    let Start { config, bound, history, sockets, admin, predecessor, program, logs } = start;
    let manager = Manager::of_this_process();
    let traces = Traces::default();
    let told = (logs.access_log(), traces.clone());
    let given: Vec<_> = bound.listeners().map(str::to_owned).collect();
    let server = Server::start_with(config, bound, &Handle::current(), SocketOwnership::own(), told)
        .map_err(|error| taken(error, PORT_HINT))?;
    let control = server.control().clone();
    history.into_iter().for_each(|history| control.take_over_history(history));
    // It accepts: from now on a signal ends nobody who lives.
    signals.serving(vec![control.clone()], logs.clone())?;
    let wanted = control.open_listeners();
    for listener in given.iter().filter(|listener| !wanted.iter().any(|one| **one == ***listener)) {
        info!(listener, "a socket that was handed to this process is for no listener: it is closed");
        manager.forget(listener);
    }
    control.log_by(logs.clone());
    control.tell(manager);
    let sockets = match sockets {
        // The name of the socket is taken last: until then it leads to the predecessor.
        None => admin.bind(&control.config(), None)?,
        bound => bound,
    };
    let subject = Subject { control: control.clone(), traces };
    // Until the end: whoever waits for connections to finish sees them finish.
    let mut admin = sockets.map(|sockets| AdminServer::start(sockets, subject)).transpose()?;
    let port = admin.as_mut().and_then(AdminServer::tcp_socket);
    control.upgrade_by(Upgradable { program, admin: port.map(OwnedFd::from) });
    drop(Handle::current().spawn(watchdog::attend(manager, control.clone())));
    if let Some(predecessor) = predecessor.take()
        && let Err(error) = predecessor.ready()
    {
        warn!(%error, "the process that handed over has gone already");
    }
    manager.ready();
    let listeners = control.proxy().listeners.iter().map(|at| at.label.to_string()).collect::<Vec<_>>();
    let each_client = control.config().limits.of_each_client();
    info!(listeners = %listeners.join(" "), each_client, "running");
    let leaving = async {
        control.handed_over().await;
        admin.as_ref().inspect(|admin| admin.release_address());
        std::future::pending().await
    };
    tokio::select! {
        ending = serving::until_stopped(signals, vec![server]) => Ok(ending),
        ending = leaving => ending,
    }
}

/// A port that could not be listened on, and what to do about it: also where it is this process that has it, in another way.
fn untaken(error: ListenError, bound: &Inherited, config: &Config) -> anyhow::Error {
    match bound.given_beside(error.addr, &config.settings).filter(|_| error.is_taken()) {
        Some(given) => {
            let listener = error.addr;
            anyhow::anyhow!(
                "{error}\n  the service manager has given a socket for {given}, which is no listener here: have it listen on \
                 {listener} (ListenStream= in the socket unit), or the listener on {given} (`bind`; `*` is \"dual\")"
            )
        }
        None => taken(PlaneError::from(error), PORT_HINT),
    }
}

/// What others have given to this process.
struct Given {
    bound: Inherited,
    /// The admin API's port.
    admin: Option<std::net::TcpListener>,
    /// What is known of the past.
    history: Option<OwnedFd>,
    /// The keys of session tickets.
    tickets: Option<OwnedFd>,
}

/// Sorts what a predecessor has passed on and what a service manager has kept or made.
fn given(Handed { passed, activated }: Handed) -> Given {
    let mut given = Given { bound: Inherited::new(), admin: None, history: None, tickets: None };
    for Passed { name, socket } in passed {
        if name == control::ADMIN {
            given.admin = Some(socket.into());
        } else if name == control::HISTORY {
            given.history = Some(socket);
        } else if name == control::TICKETS {
            given.tickets = Some(socket);
        } else {
            given.bound.insert_for(name, socket);
        }
    }
    for socket in activated {
        if let Err(error) = given.bound.insert_as_it_is(socket) {
            warn!(%error, "a socket of the service manager's is left alone");
        }
    }
    given
}

/// The admin API before it has sockets.
struct Admin {
    port: Option<std::net::TcpListener>,
    /// The process that still serves it, if there is one.
    waits_for: Option<u32>,
}

impl Admin {
    /// Binds what `[admin]` says; `identity` is whose the socket's file is to be.
    fn bind(&self, config: &Config, identity: Option<&Identity>) -> anyhow::Result<Option<AdminSockets>> {
        let port = self.port.as_ref().map(std::net::TcpListener::try_clone).transpose()?;
        let owner = identity.map(|identity| (identity.user(), identity.group()));
        let given = AdminGiven { tcp: port, predecessor: self.waits_for, owner };
        let bound = config.admin.as_ref().map(|options| AdminSockets::bind_with(options, given));
        bound.transpose().map_err(|error| taken(error, ADMIN_HINT))
    }
}
