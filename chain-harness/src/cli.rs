//! The command line of the laboratory.

use std::path::PathBuf;

use chain_harness::Contender;
use clap::{Args, Parser, Subcommand};

use crate::leaky_process::{self, LeakyProcess};

/// The accumulation laboratory: scenarios in which connections come to accumulate, for our proxy and for anybody's.
///
/// Two of a proxy are started in a row, client ─► outer ─► PROXY header ─► inner ─► backend, all on loopback. What they
/// hold is read from the kernel every 50 ms, how ends arrive is seen at both ends. Nothing is asked of the proxy.
#[derive(Debug, Parser)]
#[command(name = "chain-harness", version, max_term_width = 100, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  chain-harness run                                     all scenarios against smartproxy
  chain-harness run --proxy smartproxy --proxy haproxy --proxy nginx --proxy envoy --out all.json
  chain-harness run --proxy haproxy --scenario client-half-closes
  chain-harness run --proxy leaky:ends-at-first-fin     a proxy that leaks on purpose: can the runner fail?
  chain-harness run --proxy 'realm=realm -l {listen} -r {target}'
  chain-harness run --json | chain-harness report -o report.html
  chain-harness report --from all.json -o report.html

A command line as a proxy is split at spaces; these names in it are replaced:
  {listen} {listen_host} {listen_port}   where the hop has to listen
  {target} {target_host} {target_port}   where it has to take each connection
  {connect_ms} {idle_ms} {half_closed_ms} {header_ms}, or {connect_s} and so on: its deadlines
  {workers} {max_connections} {dir}      threads, connections at one time, a directory of its own
  {config:FILE}                          a copy of FILE in which all of these have been replaced
  {send_proxy?WORD} {accept_proxy?WORD}  WORD where the hop sends, or expects, a PROXY header
In FILE, the lines from \"#if send_proxy\", \"#if accept_proxy\" or \"#if not ...\" to \"#end\" are kept only where that is
so. A proxy that is not told about both kinds of header is tried without any.

Exit codes:
  0  every law was kept               2  the command line is wrong
  1  a law was broken                 3  a scenario could not be told, or no proxy was there to try";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell scenarios to proxies, and print scenario × verdict with figures.
    Run(Run),
    /// Write one self-contained HTML page with a chart for each scenario.
    Report(Report),
    /// List the scenarios, and what is expected in each.
    Scenarios,
    /// List the proxies that are known, and whether they are installed.
    Proxies,
    /// Run the proxy that leaks on purpose, until a signal stops it. `run --proxy leaky:FAULT` does.
    Leaky(LeakyProcess),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A proxy to try: smartproxy, haproxy, nginx, nginx-as-shipped, envoy, leaky:FAULT (leaks on purpose), or
    /// NAME=COMMAND LINE (see --help). May be given several times [default: smartproxy]
    #[arg(long = "proxy", value_name = "PROXY", value_parser = leaky_process::contender)]
    pub(crate) proxies: Vec<Contender>,
    /// Only this scenario. May be given several times [default: all]
    #[arg(long = "scenario", value_name = "NAME")]
    pub(crate) scenarios: Vec<String>,
    /// Print the results as JSON, with every sample
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print the table as Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Write the results as JSON to FILE too
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Results of `run`, in JSON. May be given several times: later files go over earlier ones [default: stdin]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) from: Vec<PathBuf>,
    /// Where to write the page
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: PathBuf,
    /// Print the table as Markdown instead of writing the page
    #[arg(long)]
    pub(crate) markdown: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
