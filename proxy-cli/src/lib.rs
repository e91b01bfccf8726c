//! The command line: running a proxy ([`Command`]), and operating one that runs ([`Operate`]), over its admin API.

pub mod access;
mod audit;
mod certs;
pub mod chain;
pub mod client;
mod conns;
mod control;
mod drain;
pub mod filter;
mod findings;
#[cfg(test)]
mod fixtures;
pub mod format;
mod groups;
mod habits;
mod history;
mod kill;
mod list;
mod operate;
mod output;
pub mod place;
mod reload;
mod routes;
mod show;
mod status;
mod target;
mod targets;
mod top;
mod trace;

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use access::Access;

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
    /// Which proxy to ask; only for commands that ask one.
    #[command(flatten)]
    pub access: Access,
}

impl Cli {
    /// The command line of this process. Whatever is wrong with it, and whatever only asks for help, ends the process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut command = command();
        let line: Vec<_> = std::env::args_os().collect();
        let matches = command.try_get_matches_from_mut(&line).map_err(|error| habits::told(error, &line));
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .and_then(Self::that_uses_what_it_says)
            .unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// This one, unless it says which proxy to ask and asks none.
    fn that_uses_what_it_says(self) -> Result<Self, clap::Error> {
        let asks = matches!(self.command, Some(Command::Operate(_)));
        let written = self.access.written().next();
        match written {
            Some(option) if !asks => {
                let what = "says which running proxy to ask, and this command asks none: what a new one listens on is in its \
                            configuration";
                Err(clap::Error::raw(ErrorKind::ArgumentConflict, format!("{option} {what}")))
            }
            _ => Ok(self),
        }
    }
}

/// The description of the command line, from which it is read and completions and manual pages are made: the options that say
/// which proxy to ask are taken anywhere, and shown only where they have a meaning.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(|subcommand| {
        let meaningless = match subcommand.get_name() {
            "run" | "check" | "hop-cert" | "schema" | "demo" | "man" | "completions" => {
                access::hidden_options()
            }
            _ => Vec::new(),
        };
        subcommand.args(meaningless)
    })
}

const EXAMPLES: &str = "\
Examples:
  smartproxy                          run the embedded chain; then: curl http://127.0.0.1:8001/
  smartproxy demo --outer 9001 --inner 9002 --backend 9003
  smartproxy check proxy.toml         say what is wrong with a configuration, with line and column
  smartproxy check outer.toml inner.toml      and whether the hops of a chain fit each other
  smartproxy hop-cert outer inner     certificates for two hops that prove to each other that they are
  smartproxy run proxy.toml           run it; SIGTERM or Ctrl-C stops it, a second one at once
  smartproxy status                   how a running proxy is, on one screen
  smartproxy history api --span 6h    what was of a route: connections, failures, bytes
  smartproxy chain                    the hops of a chain side by side, and what lives on one of them only
  smartproxy conns --phase dial --min-age 10s
  smartproxy kill --route api --min-idle 10m --dry-run

Exit codes of run and demo:
  0  stopped, every connection had finished      3  stopped, but connections had to be ended after
  1  could not start (configuration, port)          graceful_shutdown_timeout
  2  the command line is wrong                   4  stopped at once, by a second signal

Exit codes of the others:
  0  done                                        2  the command line is wrong, or --yes is missing
  1  the answer is no: refused, not found,       5  no running proxy answers
     an audit that is not clean, a warning
     of check --strict";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a configuration until a signal stops it.
    Run {
        /// Which one.
        #[command(flatten)]
        config: ConfigFile,
        /// Append the keys of all TLS sessions to this file, in the format of Wireshark: whoever reads it can decrypt them. To find a
        /// fault, and no longer than that takes.
        #[arg(long, value_name = "FILE")]
        tls_key_log: Option<PathBuf>,
    },
    /// Check configurations: every error at once, each with its place in the file. Opens no port.
    Check {
        /// The configuration files (TOML); `-` is standard input. Those of a chain in the order in which connections pass
        /// them: then each is compared with the next one, too.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// End with exit code 1 where there is a warning, too.
        #[arg(long)]
        strict: bool,
    },
    /// Make certificates by which hops prove to each other that they are.
    ///
    /// In the folder there are then an authority of these hops' own (hop-authority.pem, which no hop needs) and a file for each hop,
    /// which its configuration names by `hop`. Run again, it renews them.
    HopCert(HopCert),
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

/// Which configuration to run.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration file (TOML). If none is given: the one that `SMARTPROXY_CONFIG` names.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as services write it.
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Where it is.
    ///
    /// # Errors
    /// Where no file is named, with what to write.
    pub fn path(self) -> Result<PathBuf, String> {
        let variable = || std::env::var_os("SMARTPROXY_CONFIG").filter(|text| !text.is_empty());
        let path = self.file.or(self.config).or_else(|| variable().map(PathBuf::from));
        let path = path.ok_or("which configuration? Write smartproxy run FILE, or set SMARTPROXY_CONFIG")?;
        if path == Path::new("-") {
            return Err("a configuration that runs is a file, so that it can be reloaded: write its path instead of -".to_owned());
        }
        Ok(path)
    }
}

/// Which certificates of hops to make.
#[derive(Debug, Clone, clap::Args)]
pub struct HopCert {
    /// The hops: NAME.pem is made for each, or made anew. If none is given: all that have a file in the folder.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The folder of the files.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// For how many days the certificates of the hops are valid. That of an authority is for ten years.
    #[arg(long, value_name = "COUNT", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Put another authority in the place of the present one: a step each time, three in all, between which the files are taken to the
    /// hops. No connection is lost.
    #[arg(long)]
    pub next_authority: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    fn read(line: &str) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from(line.split_whitespace())?;
        Cli::from_arg_matches(&matches).and_then(Cli::that_uses_what_it_says)
    }

    #[test]
    fn the_proxy_to_ask_is_said_before_or_after_the_command() {
        for line in [
            "smartproxy --socket a.sock status",
            "smartproxy status --socket a.sock",
            "smartproxy drain --socket a.sock route web",
            "smartproxy drain route web --socket a.sock",
            "smartproxy drain route --socket a.sock web",
        ] {
            let written: Vec<_> = read(line).unwrap().access.written().collect();
            assert_eq!(written, ["--socket"], "{line}");
        }
        assert!(read("smartproxy --token-file t chain a b").unwrap().access.written().eq(["--token-file"]));
    }

    #[test]
    fn what_asks_no_proxy_is_told_none() {
        for line in [
            "smartproxy --socket a.sock run x.toml",
            "smartproxy run x.toml --socket a.sock",
            "smartproxy check --socket a.sock x.toml",
            "smartproxy --socket a.sock",
            "smartproxy --socket a.sock demo",
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains("--socket says which running proxy to ask"), "{line}: {error}");
        }
    }

    #[test]
    fn a_configuration_is_named_in_either_way_and_once() {
        let path = |line: &str| match read(line).unwrap().command {
            Some(Command::Run { config, .. }) => config.path(),
            other => panic!("{other:?}"),
        };
        for line in ["smartproxy run x.toml", "smartproxy run -c x.toml", "smartproxy run --config x.toml"] {
            assert_eq!(path(line).unwrap(), Path::new("x.toml"), "{line}");
        }
        assert!(read("smartproxy run x.toml -c y.toml").is_err());
        assert!(path("smartproxy run -").unwrap_err().contains("is a file"));
    }
}
