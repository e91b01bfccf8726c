//! The command line: running a proxy ([`Command`]), and operating one that runs ([`Operate`]), over its admin API.

pub mod access;
mod audit;
mod chain;
pub mod client;
mod conns;
mod control;
mod drain;
pub mod filter;
#[cfg(test)]
mod fixtures;
pub mod format;
mod kill;
mod list;
mod operate;
mod output;
mod reload;
mod routes;
mod show;
mod status;
mod top;
mod trace;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::demo::Wishes;

pub use operate::Operate;
pub use output::{Failure, Outcome};

/// A layer-4 proxy for proxy chains, in which connections cannot accumulate.
///
/// Without a command it runs an embedded chain (outer proxy, inner proxy, demo backend) to try things on.
#[derive(Debug, Parser)]
#[command(name = "smartproxy", version, max_term_width = 100, after_long_help = EXAMPLES)]
pub struct Cli {
    /// What to do; the embedded chain if nothing.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  smartproxy                          run the embedded chain; then: curl http://127.0.0.1:8001/
  smartproxy demo --outer 9001 --inner 9002 --backend 9003
  smartproxy check proxy.toml         say what is wrong with a configuration, with line and column
  smartproxy run -c proxy.toml        run it; SIGTERM or Ctrl-C stops it, a second one at once
  smartproxy status                   how a running proxy is, on one screen
  smartproxy chain outer.sock inner.sock      which connections live on one hop of a chain only
  smartproxy conns --phase dial --min-age 10s
  smartproxy kill --route api --min-idle 10m --dry-run

Exit codes of run and demo:
  0  stopped, every connection had finished      3  stopped, but connections had to be ended after
  1  could not start (configuration, port)          graceful_shutdown_timeout
  2  the command line is wrong                   4  stopped at once, by a second signal

Exit codes of the others:
  0  done                                        2  the command line is wrong, or --yes is missing
  1  the answer is no: refused, not found,       5  no running proxy answers
     an audit that is not clean";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a configuration until a signal stops it.
    Run {
        /// The configuration file (TOML).
        #[arg(short, long, env = "SMARTPROXY_CONFIG", value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration: every error at once, each with its place in the file. Opens no port.
    Check {
        /// The configuration file (TOML).
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON schema of the configuration, for editors.
    Schema,
    /// Run the embedded chain: outer proxy, inner proxy, demo backend.
    Demo(DemoPorts),
    /// What is asked of a proxy that runs.
    #[command(flatten)]
    Operate(Box<Operate>),
    /// Print the manual page, or write it and those of all commands into a folder.
    Man {
        /// The folder, such as `/usr/share/man/man1`; it is made where there is none.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The ports of the embedded chain, all on 127.0.0.1. Where somebody has one of the usual ones, the next that is free stands in for
/// it, and is printed; one that is given here is that one or none.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DemoPorts {
    /// Port of the outer proxy, the one to connect to. Usually 8001.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub outer: Option<u16>,
    /// Port of the inner proxy. Usually 8002.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub inner: Option<u16>,
    /// Port of the demo backend. Usually 8003.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub backend: Option<u16>,
    /// Port of the dashboard and the admin API of the outer proxy. Usually 8000.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub admin: Option<u16>,
}

impl From<DemoPorts> for Wishes {
    fn from(ports: DemoPorts) -> Self {
        let DemoPorts { outer, inner, backend, admin } = ports;
        Self { outer, inner, backend, dashboard: admin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
