//! `smartproxy run`: from the command line to a process that serves, is somebody, and can be replaced.
//!
//! ```text
//! predecessor? ─► configuration ─► log, ports, admin API ─► privileges go ─► workers ─► ready ─► signals
//! ```
//! Whatever can fail for what the configuration says does so before the first connection is accepted; and where a predecessor
//! serves, before it is told to go.

mod demo;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use proxy_bin::admin::{AdminServer, AdminSockets, Given as AdminGiven, Subject, Traces};
use proxy_bin::audit::Sockets;
use proxy_bin::config::Config;
use proxy_bin::control::Control;
use proxy_bin::handover::{self, Passed, Predecessor, Program, Upgradable};
use proxy_bin::logging::Logs;
use proxy_bin::privileges::{self, keep_to_itself};
use proxy_bin::server::{Bound, Server};
use proxy_bin::service::Service;
use proxy_core::listen;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::{Signals, control_runtime, load, reopen_logs_at_sigusr1, taken};

pub(crate) use demo::demo;

const PORT_HINT: &str = "change the route's match.ports, or stop the process that has it";

/// Runs a configuration until somebody stops it.
pub(crate) fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let program = Program::of_this_process().context("cannot tell which program this is")?;
    // First: whoever hands over does so through standard input.
    let (mut predecessor, passed) = handover::predecessor()?.unzip();
    let outcome = start(path, program, &mut predecessor, passed.unwrap_or_default());
    if let (Err(error), Some(predecessor)) = (&outcome, predecessor) {
        // It has gone itself, if it cannot be told.
        predecessor.failed(&format!("{error:#}")).unwrap_or_default();
    }
    outcome
}

/// What [`run`] does, with a predecessor who is told of it if it fails, and taken when it is told that it can go.
fn start(
    path: &Path,
    program: Program,
    predecessor: &mut Option<Predecessor>,
    passed: Vec<Passed>,
) -> anyhow::Result<ExitCode> {
    let Some(config) = load(path) else {
        return if predecessor.is_some() {
            Err(anyhow::anyhow!("{} is refused: `smartproxy check` says why", path.display()))
        } else {
            Ok(ExitCode::FAILURE)
        };
    };
    let identity = privileges::identity(&config.process)?;
    keep_to_itself(&config.process);
    let (logs, _end) = Logs::start(&config.log)?;
    let Given { mut bound, admin: admin_port } = given(passed)?;
    bound.bind_missing(&config).map_err(|error| taken(error, PORT_HINT))?;
    let admin = Admin { port: admin_port, waits_for: predecessor.as_ref().map(Predecessor::process) };
    let sockets = if admin.waits_for.is_some() { None } else { admin.bind(&config)? };
    if let Some(identity) = identity {
        logs.give_to(identity.user(), identity.group())?;
        if let Some(socket) = sockets.as_ref().and_then(AdminSockets::socket) {
            std::os::unix::fs::lchown(socket, Some(identity.user()), Some(identity.group()))
                .with_context(|| format!("cannot give {} to the user", socket.display()))?;
        }
        identity.assume()?;
        keep_to_itself(&config.process);
    }
    control_runtime()?
        .block_on(async { serve(Start { config, bound, sockets, admin, predecessor, program, logs }).await })
}

/// What there is to serve with.
struct Start<'p> {
    config: Config,
    bound: Bound,
    sockets: Option<AdminSockets>,
    admin: Admin,
    predecessor: &'p mut Option<Predecessor>,
    program: Program,
    logs: Logs,
}

async fn serve(start: Start<'_>) -> anyhow::Result<ExitCode> {
    let Start { config, bound, sockets, admin, predecessor, program, logs } = start;
    let signals = Signals::new()?;
    reopen_logs_at_sigusr1(&logs)?;
    let service = Service::of_this_process();
    let traces = Traces::default();
    let told = (logs.access_log(), traces.clone());
    let given: Vec<_> = bound.listeners().map(str::to_owned).collect();
    let server = Server::start_with(config, bound, &Handle::current(), Sockets::ItsOwn, told)
        .map_err(|error| taken(error, PORT_HINT))?;
    let control = server.control().clone();
    let wanted = control.open_listeners();
    for listener in given.iter().filter(|listener| !wanted.iter().any(|one| **one == ***listener)) {
        info!(listener, "a socket that was handed to this process is for no listener: it is closed");
        service.forget(listener);
    }
    control.log_by(logs);
    control.tell(service);
    let sockets = match sockets {
        // The name of the socket is taken last: until then it leads to the predecessor.
        None => admin.bind(&control.proxy().config)?,
        bound => bound,
    };
    let subject = Subject { control: control.clone(), traces };
    // Until the end: whoever waits for connections to finish sees them finish.
    let mut admin = sockets.map(|sockets| AdminServer::start(sockets, subject)).transpose()?;
    let port = admin.as_mut().and_then(AdminServer::tcp_socket);
    control.upgrade_by(Upgradable { program, admin: port.map(OwnedFd::from) });
    upgrade_at_sigusr2(control.clone())?;
    drop(Handle::current().spawn(service.attend(control.clone())));
    if let Some(predecessor) = predecessor.take()
        && let Err(error) = predecessor.ready()
    {
        warn!(%error, "the process that handed over has gone already");
    }
    service.ready();
    let listeners = control.proxy().listeners.iter().map(|at| at.label.to_string()).collect::<Vec<_>>();
    let each_client = control.proxy().config.limits.of_each_client();
    info!(listeners = %listeners.join(" "), each_client, "running");
    let leaving = async {
        control.handed_over().await;
        admin.as_ref().inspect(|admin| admin.release_address());
        std::future::pending::<ExitCode>().await
    };
    let code = tokio::select! {
        code = signals.stop(vec![server]) => code,
        code = leaving => code,
    };
    Ok(code)
}

/// What others have given to this process.
struct Given {
    bound: Bound,
    /// The admin API's port.
    admin: Option<std::net::TcpListener>,
}

/// Sorts what a predecessor has passed on and what a service manager has kept or made.
fn given(passed: Vec<Passed>) -> anyhow::Result<Given> {
    let mut given = Given { bound: Bound::new(), admin: None };
    for Passed { name, socket } in passed {
        if name == handover::ADMIN {
            given.admin = Some(socket.into());
        } else {
            given.bound.insert_for(name, socket);
        }
    }
    for socket in listen::activated().context("the sockets that LISTEN_FDS promises are not there")? {
        if let Err(error) = given.bound.insert_as_it_is(socket) {
            warn!(%error, "a socket of the service manager's is left alone");
        }
    }
    Ok(given)
}

/// The admin API before it has sockets.
struct Admin {
    port: Option<std::net::TcpListener>,
    /// The process that still serves it, if there is one.
    waits_for: Option<u32>,
}

impl Admin {
    fn bind(&self, config: &Config) -> anyhow::Result<Option<AdminSockets>> {
        let port = self.port.as_ref().map(std::net::TcpListener::try_clone).transpose()?;
        let given = AdminGiven { tcp: port, predecessor: self.waits_for };
        Ok(config.admin.as_ref().map(|options| AdminSockets::bind_with(options, given)).transpose()?)
    }
}

/// Hands over to a new process at each SIGUSR2.
fn upgrade_at_sigusr2(control: Control) -> anyhow::Result<()> {
    let mut asked = signal(SignalKind::user_defined2()).context("cannot catch signals")?;
    let upgrading = async move {
        while asked.recv().await.is_some() {
            // What becomes of it is in the log, and in the status.
            drop(control.upgrade().await);
        }
    };
    drop(Handle::current().spawn(upgrading));
    Ok(())
}
