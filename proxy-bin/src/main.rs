//! The `smartproxy` command.
mod check;
mod print;
mod run;
mod serving;
mod signals;

use std::io::{ErrorKind, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use proxy_bin::admin::AdminError;
use proxy_bin::config::{Config, Ink, LoadError};
use proxy_bin::demo::Wishes;
use proxy_bin::man;
use proxy_bin::server::StartError;
use proxy_bin::told::{NO_SUCH_BIND, NO_SUCH_LISTEN, told};
use proxy_cli::access::Access;
use proxy_cli::{Cli, Command, HopCert, Operate};
use proxy_core::listen::accept_error_is_shortage;
use proxy_dataplane::descriptors;
use proxy_dataplane::server::StartError as PlaneError;
use proxy_values::plural::count;

/// As clap has it.
const WRONG_COMMAND_LINE: u8 = 2;

fn main() -> ExitCode {
    // Before anything is opened: what whoever started this process gave it is told by its number alone.
    let activated = proxy_core::process::activation::activated();
    proxy_core::process::memory::retain_little();
    let Cli { command, access } = Cli::of_this_process();
    let outcome = match command {
        None => run::demo(Wishes::default()),
        Some(Command::Demo(ports)) => run::demo(ports.into()),
        Some(Command::Run { config, tls_key_log }) => match config.path() {
            Ok(path) => activated
                .map_err(Into::into)
                .and_then(|sockets| run::run(&path, tls_key_log.as_deref(), sockets)),
            Err(wrong) => {
                print::err(format_args!("smartproxy: {wrong}"));
                Ok(ExitCode::from(WRONG_COMMAND_LINE))
            }
        },
        Some(Command::Check { files, strict }) => check::check(&files, strict),
        Some(Command::HopCert(asked)) => hop_cert(&asked),
        Some(Command::Schema) => schema(),
        Some(Command::Operate(command)) => operate(*command, &access),
        Some(Command::Man { folder }) => man(folder.as_deref()),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut proxy_cli::command(), "smartproxy", &mut script);
            printed(&script)
        }
    };
    outcome.unwrap_or_else(|error| {
        print::err(format_args!("smartproxy: {}", told(error.as_ref())));
        ExitCode::FAILURE
    })
}

/// Loads a configuration and says what there is to say about it; None where it is not fit to run here.
fn load(path: &Path) -> Option<Config> {
    let config = fit(path, Config::load(path))?;
    let awaited = config.egress_awaited();
    if !awaited.is_empty() {
        print::err(format_args!("{}\n", awaited.render(ink())));
    }
    Some(config)
}

/// How findings are drawn on standard error.
fn ink() -> Ink {
    if std::io::stderr().is_terminal() { Ink::Colour } else { Ink::Plain }
}

/// What there is to say about a configuration, said; None where it is not fit to run here.
pub(crate) fn fit(path: &Path, config: Result<Config, LoadError>) -> Option<Config> {
    let suits = |config: Config| config.suits_a_start().map(|()| config).map_err(LoadError::from);
    match config.and_then(suits) {
        Ok(config) => {
            if !config.warnings.is_empty() {
                print::err(format_args!("{}\n", config.warnings.render(ink())));
            }
            Some(config)
        }
        Err(LoadError::Invalid(errors)) => {
            let found = count(errors.findings().len() as u64, "error", "errors");
            print::err(format_args!(
                "{}\n\nsmartproxy: {} has {found}",
                errors.render(ink()),
                path.display()
            ));
            None
        }
        Err(error) => {
            print::err(format_args!("smartproxy: {error}"));
            None
        }
    }
}

fn hop_cert(asked: &HopCert) -> anyhow::Result<ExitCode> {
    printed(proxy_bin::hop_cert::hop_cert(asked, SystemTime::now())?.as_bytes())
}

fn schema() -> anyhow::Result<ExitCode> {
    let mut schema = serde_json::to_vec_pretty(&Config::schema())?;
    schema.push(b'\n');
    printed(&schema)
}

/// Prints the manual page, or writes all of them.
fn man(folder: Option<&Path>) -> anyhow::Result<ExitCode> {
    let command = proxy_cli::command();
    if let Some(folder) = folder {
        let written = man::write(command, folder).context("cannot write the manual pages")?;
        return printed(format!("{} pages in {}\n", written.len(), folder.display()).as_bytes());
    }
    let first = man::pages(command)?.into_iter().next();
    printed(&first.map(|(_, page)| page).unwrap_or_default())
}

fn printed(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    print::out(bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Talks to a running proxy.
fn operate(command: Operate, access: &Access) -> anyhow::Result<ExitCode> {
    let runtime = control_runtime()?;
    let done = runtime.block_on(command.run(access, &mut std::io::stdout()));
    // Nobody waits for a look-up that hangs.
    runtime.shutdown_background();
    Ok(match done {
        Ok(outcome) => outcome.into(),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            print::err(format_args!("smartproxy: {failure}"));
            failure.exit_code()
        }
    })
}

/// An error of starting, with what to do about it on a line of its own; `hint` is that for what somebody else has.
fn taken(error: impl Into<StartError>, hint: &str) -> anyhow::Error {
    let error = error.into();
    match advice(&error, hint) {
        Some(advice) => anyhow::anyhow!("{error}\n  {advice}"),
        None => error.into(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "StartError is open-ended; whatever else it is needs no hint"
)]
fn advice<'h>(error: &StartError, hint: &'h str) -> Option<&'h str> {
    const RIGHT: &str =
        "ports below 1024 need root (which [process] user gives up again) or CAP_NET_BIND_SERVICE";
    const MORE_FILES: &str = "raise the limit of open files (ulimit -n), or listen on fewer ports";
    let of_address = |source: &std::io::Error, elsewhere: &'static str| match source.kind() {
        ErrorKind::AddrInUse => Some(hint),
        ErrorKind::AddrNotAvailable => Some(elsewhere),
        _ => None,
    };
    match error {
        StartError::Admin(AdminError::Address { addr, source }) => match source.kind() {
            ErrorKind::PermissionDenied if addr.port() < 1024 => Some(RIGHT),
            _ => of_address(source, NO_SUCH_LISTEN),
        },
        StartError::Plane(PlaneError::Listen(listen)) if listen.is_privileged() => Some(RIGHT),
        StartError::Plane(PlaneError::Listen(listen)) if accept_error_is_shortage(&listen.source) => {
            Some(MORE_FILES)
        }
        StartError::Plane(PlaneError::Listen(listen)) => of_address(&listen.source, NO_SUCH_BIND),
        _ => None,
    }
}

/// The control plane's own runtime: signals, names, stopping. Connections live on the workers'.
fn control_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = descriptors::room_for_a_runtime()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
    runtime.context("cannot start the control runtime")
}
