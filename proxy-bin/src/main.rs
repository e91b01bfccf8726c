//! The `smartproxy` command.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to its user on stdout and stderr"
)]

mod run;

use std::io::{ErrorKind, IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use futures_util::future::join_all;
use proxy_bin::admin::AdminError;
use proxy_bin::cli::{Cli, Command, Operate};
use proxy_bin::config::{Config, Ink, LoadError};
use proxy_bin::control::Control;
use proxy_bin::demo::Wishes;
use proxy_bin::descriptors;
use proxy_bin::logging::Logs;
use proxy_bin::man;
use proxy_bin::server::{Server, StartError, Stopped};
use proxy_core::listen::accept_error_is_shortage;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit codes beyond 0 (all finished) and 1 (could not start); `--help` lists them.
const CONNECTIONS_WERE_ENDED: u8 = 3;
const STOPPED_AT_ONCE: u8 = 4;

fn main() -> ExitCode {
    proxy_core::memory::retain_little();
    let outcome = match Cli::parse().command {
        None => run::demo(Wishes::default()),
        Some(Command::Demo(ports)) => run::demo(ports.into()),
        Some(Command::Run { config }) => run::run(&config),
        Some(Command::Check { file }) => check(&file),
        Some(Command::Schema) => schema(),
        Some(Command::Operate(command)) => operate(*command),
        Some(Command::Man { folder }) => man(folder.as_deref()),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "smartproxy", &mut script);
            print_all(&script)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("smartproxy: {error:#}");
        ExitCode::FAILURE
    })
}

/// Loads a configuration and says what there is to say about it; None where it is not fit to run here.
fn load(path: &Path) -> Option<Config> {
    let ink = if std::io::stderr().is_terminal() { Ink::Colour } else { Ink::Plain };
    let suits = |config: Config| config.suits_a_start().map(|()| config).map_err(LoadError::from);
    match Config::load(path).and_then(suits) {
        Ok(config) => {
            if !config.warnings.is_empty() {
                eprintln!("{}\n", config.warnings.render(ink));
            }
            Some(config)
        }
        Err(LoadError::Invalid(errors)) => {
            let count = errors.findings().len();
            let plural = if count == 1 { "" } else { "s" };
            eprintln!("{}\n\nsmartproxy: {} has {count} error{plural}", errors.render(ink), path.display());
            None
        }
        Err(error) => {
            eprintln!("smartproxy: {error}");
            None
        }
    }
}

fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let Some(config) = load(file) else { return Ok(ExitCode::FAILURE) };
    if let Some(warning) = descriptors::too_few(&config, descriptors::attainable()) {
        eprintln!("warning: {warning}\n");
    }
    println!(
        "{}: fine ({} routes, {} listening sockets)",
        file.display(),
        config.routes.len(),
        config.listeners.len()
    );
    println!("each client: {}", config.limits.of_each_client());
    Ok(ExitCode::SUCCESS)
}

fn schema() -> anyhow::Result<ExitCode> {
    let mut schema = serde_json::to_vec_pretty(&Config::schema())?;
    schema.push(b'\n');
    print_all(&schema)
}

/// Prints the manual page, or writes all of them.
fn man(folder: Option<&Path>) -> anyhow::Result<ExitCode> {
    let command = Cli::command();
    if let Some(folder) = folder {
        let written = man::write(command, folder)?;
        println!("{} pages in {}", written.len(), folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let first = man::pages(command)?.into_iter().next();
    print_all(&first.map(|(_, page)| page).unwrap_or_default())
}

/// Writes to stdout. Whoever reads it may have had enough (`| head`): that is not a failure.
fn print_all(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Talks to a running proxy.
fn operate(command: Operate) -> anyhow::Result<ExitCode> {
    let done = control_runtime()?.block_on(command.run(&mut std::io::stdout()));
    Ok(match done {
        Ok(outcome) => outcome.into(),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("smartproxy: {failure}");
            failure.exit_code()
        }
    })
}

/// An error of starting, with what to do about it on a line of its own.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "StartError is open-ended; whatever else it is needs no hint"
)]
fn taken(error: impl Into<StartError>, hint: &str) -> anyhow::Error {
    let error = error.into();
    match &error {
        StartError::Admin(AdminError::Address { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
            anyhow::anyhow!("{error}\n  {hint}")
        }
        StartError::Listen(listen) if listen.is_taken() => anyhow::anyhow!("{error}\n  {hint}"),
        StartError::Listen(listen) if listen.source.kind() == std::io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!(
                "{error}\n  ports below 1024 need root (which [process] user gives up again) or CAP_NET_BIND_SERVICE"
            )
        }
        StartError::Listen(listen) if accept_error_is_shortage(&listen.source) => {
            anyhow::anyhow!("{error}\n  raise the limit of open files (ulimit -n), or listen on fewer ports")
        }
        _ => error.into(),
    }
}

/// The control plane's own runtime: signals, names, stopping. Connections live on the workers'.
fn control_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = descriptors::room_for_a_runtime()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
    runtime.context("cannot start the control runtime")
}

/// Opens the log files anew at SIGUSR1, as those who rotate them expect.
fn reopen_logs_at_sigusr1(logs: &Logs) -> anyhow::Result<()> {
    let rotated = signal(SignalKind::user_defined1()).context("cannot catch signals")?;
    drop(Handle::current().spawn(logs.clone().reopen_at(rotated)));
    Ok(())
}

/// The signals that stop the proxy or have it reload, caught from the start so that none is lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    /// The next signal that stops the proxy.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Has the servers reload at each SIGHUP, until somebody wants them to stop; who that is.
    async fn asked_to_stop(&mut self, servers: &[Server]) -> &'static str {
        let controls: Vec<Control> = servers.iter().map(|server| server.control().clone()).collect();
        let mut asked = JoinSet::new();
        for control in controls.clone() {
            asked.spawn(async move { control.asked_to_stop().await });
        }
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                Some(_) = asked.join_next() => return "the admin API",
                Some(()) = self.hangup.recv() => {
                    info!(signal = "SIGHUP", "reloading");
                    for control in &controls {
                        // How it went is in the log, and in the status.
                        control.reload().await;
                    }
                }
            }
        }
    }

    /// Lets the servers be not ready, and accept, for as long as they are to; another signal cuts that short.
    async fn leave(&mut self, servers: &[Server]) {
        tokio::select! {
            _ = join_all(servers.iter().map(Server::leave)) => {}
            signal = self.next() => info!(signal, "stopping without further delay"),
        }
    }

    /// Waits until it is to stop, then stops the servers, the first one first (an outer hop before the inner one, so that what is
    /// on its way still gets through). A second signal ends what is left at once.
    async fn stop(mut self, servers: Vec<Server>) -> ExitCode {
        let signal = self.asked_to_stop(&servers).await;
        info!(by = signal, "stopping; another signal stops at once");
        self.leave(&servers).await;
        let hurry = CancellationToken::new();
        let stopping = async {
            let mut ended = 0;
            for server in servers {
                match server.stop(hurry.cancelled()).await {
                    Stopped::Finished => {}
                    Stopped::Ended(connections) => ended += connections,
                }
            }
            ended
        };
        tokio::pin!(stopping);
        let ended = tokio::select! {
            ended = &mut stopping => ended,
            signal = self.next() => {
                warn!(signal, "stopping at once");
                hurry.cancel();
                stopping.await
            }
        };
        info!(connections_ended = ended, at_once = hurry.is_cancelled(), "stopped");
        match (hurry.is_cancelled(), ended) {
            (true, _) => ExitCode::from(STOPPED_AT_ONCE),
            (false, 0) => ExitCode::SUCCESS,
            (false, _) => ExitCode::from(CONNECTIONS_WERE_ENDED),
        }
    }
}
