//! The `smartproxy` command.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to its user on stdout and stderr"
)]

mod run;
mod serving;
mod signals;

use std::io::{ErrorKind, IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use proxy_bin::admin::AdminError;
use proxy_bin::cli::{Cli, Command, Operate};
use proxy_bin::config::{Config, Ink, LoadError};
use proxy_bin::demo::Wishes;
use proxy_bin::descriptors;
use proxy_bin::man;
use proxy_bin::server::StartError;
use proxy_bin::told::told;
use proxy_core::listen::accept_error_is_shortage;

fn main() -> ExitCode {
    // Before anything is opened: what whoever started this process gave it is told by its number alone.
    let activated = proxy_core::listen::activated();
    proxy_core::memory::retain_little();
    let outcome = match Cli::parse().command {
        None => run::demo(Wishes::default()),
        Some(Command::Demo(ports)) => run::demo(ports.into()),
        Some(Command::Run { config }) => {
            activated.map_err(anyhow::Error::from).and_then(|given| run::run(&config, given))
        }
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
        eprintln!("smartproxy: {}", told(error.as_ref()));
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
    let runtime = control_runtime()?;
    let done = runtime.block_on(command.run(&mut std::io::stdout()));
    // Nobody waits for a look-up that hangs.
    runtime.shutdown_background();
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
        StartError::Listen(listen) if listen.is_privileged() => {
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
