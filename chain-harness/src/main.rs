//! The runner of the accumulation laboratory: see `chain-harness --help`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to its user on stdout and stderr"
)]

mod cli;
mod leaky_process;

use std::fs;
use std::io::{self, IsTerminal, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chain_harness::Contender;
use chain_harness::lab::{
    Outcome, Results, Scenario, Verdict, describe, hold_until, markdown, scenarios, short, table,
};
use chain_harness::report::page;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command, Report, Run};

/// Exit codes, which `--help` lists.
const BROKE_A_LAW: u8 = 1;
const WRONG_COMMAND_LINE: u8 = 2;
const NOT_TOLD: u8 = 3;

/// Enough for any scenario, in this process and in each proxy.
const OPEN_FILES: u64 = 65_536;

fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Run(run) => run_all(&run),
        Command::Report(report) => write_report(&report),
        Command::Scenarios => list_scenarios(),
        Command::Proxies => list_proxies(),
        Command::Leaky(hop) => hop.run(),
    };
    ExitCode::from(code.unwrap_or_else(|(code, error)| {
        eprintln!("chain-harness: {error}");
        code
    }))
}

/// An exit code, with what is said about it where it is an error.
type Code = Result<u8, (u8, String)>;

fn run_all(run: &Run) -> Code {
    let scenarios = chosen(&run.scenarios).map_err(|error| (WRONG_COMMAND_LINE, error))?;
    let proxies = installed(&run.proxies);
    if proxies.is_empty() {
        return Err((NOT_TOLD, "there is no proxy to try".to_owned()));
    }
    raise_open_files();
    let mut results = Results { machine: machine(), started: now(), ..Results::default() };
    results.proxies = proxies.iter().map(describe).collect();
    let stopped = Arc::<AtomicBool>::default();
    let all: Vec<_> =
        scenarios.iter().flat_map(|scenario| proxies.iter().map(move |proxy| (proxy, *scenario))).collect();
    for (n, (proxy, scenario)) in all.iter().enumerate() {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let progress = Progress { n: n + 1, of: all.len(), proxy, scenario };
        progress.begins();
        let outcome = hold_until(proxy, scenario, until_stopped(Arc::clone(&stopped)));
        progress.ends(&outcome);
        results.outcomes.push(outcome);
    }
    print_results(run, &results)?;
    let is = |wanted: fn(&Verdict) -> bool| results.outcomes.iter().any(|outcome| wanted(&outcome.verdict));
    Ok(match (is(Verdict::is_breach), is(|verdict| matches!(verdict, Verdict::Broken { .. }))) {
        (true, _) => BROKE_A_LAW,
        (false, true) => NOT_TOLD,
        (false, false) => 0,
    })
}

/// SIGINT and SIGTERM stop the scenario that is being told, so that no proxy is left behind.
async fn until_stopped(stopped: Arc<AtomicBool>) {
    let [mut interrupt, mut terminate] = [SignalKind::interrupt(), SignalKind::terminate()]
        .map(|kind| signal(kind).expect("a runtime with signals is there"));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stopped.store(true, Ordering::Relaxed);
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let unknown = names.iter().find(|name| scenarios().iter().all(|scenario| scenario.name != name.as_str()));
    if let Some(unknown) = unknown {
        return Err(format!("there is no scenario {unknown:?}; `chain-harness scenarios` lists them"));
    }
    let wanted = |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(scenarios().iter().filter(wanted).collect())
}

/// Those of `wanted` that are here; of the others it is said how to get them.
fn installed(wanted: &[Contender]) -> Vec<Contender> {
    let wanted = if wanted.is_empty() { vec![Contender::Smartproxy] } else { wanted.to_vec() };
    let here = wanted.into_iter().filter(|contender| match contender.installed() {
        Ok(()) => true,
        Err(how) => {
            eprintln!("skipped: {how}");
            false
        }
    });
    here.collect()
}

fn print_results(run: &Run, results: &Results) -> Result<(), (u8, String)> {
    let json = || serde_json::to_string(results).expect("results are plain data");
    if let Some(file) = &run.out {
        write(file, &json())?;
    }
    let text = match (run.json, run.markdown) {
        (true, _) => json() + "\n",
        (false, true) => markdown(results),
        (false, false) => table(results),
    };
    // Whoever reads may have had enough.
    io::stdout().write_all(text.as_bytes()).unwrap_or_default();
    Ok(())
}

fn write_report(report: &Report) -> Code {
    let mut results = Results::default();
    if report.from.is_empty() && io::stdin().is_terminal() {
        return Err((
            WRONG_COMMAND_LINE,
            "results are expected from --from FILE or on stdin (run --json)".to_owned(),
        ));
    }
    if report.from.is_empty() {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| (NOT_TOLD, format!("stdin: {error}")))?;
        results.merge(parse("stdin", &text)?);
    }
    for file in &report.from {
        let text =
            fs::read_to_string(file).map_err(|error| (NOT_TOLD, format!("{}: {error}", file.display())))?;
        results.merge(parse(&file.to_string_lossy(), &text)?);
    }
    if report.markdown {
        io::stdout().write_all(markdown(&results).as_bytes()).unwrap_or_default();
        return Ok(0);
    }
    write(&report.output, &page(&results))?;
    println!("{}", report.output.display());
    Ok(0)
}

fn parse(name: &str, text: &str) -> Result<Results, (u8, String)> {
    serde_json::from_str(text).map_err(|error| (NOT_TOLD, format!("{name} has no results: {error}")))
}

fn write(file: &Path, text: &str) -> Result<(), (u8, String)> {
    fs::write(file, text).map_err(|error| (NOT_TOLD, format!("{}: {error}", file.display())))
}

fn list_scenarios() -> Code {
    for scenario in scenarios() {
        println!("{:26}{}", scenario.name, scenario.expected);
    }
    Ok(0)
}

fn list_proxies() -> Code {
    for contender in Contender::KNOWN {
        match contender.installed() {
            Ok(()) => println!("{:18}{}", contender.name(), contender.version()),
            Err(how) => println!("{:18}{how}", contender.name()),
        }
    }
    Ok(0)
}

/// One line for each scenario on stderr; on a terminal it is there while the scenario is told.
struct Progress<'a> {
    n: usize,
    of: usize,
    proxy: &'a Contender,
    scenario: &'a Scenario,
}

impl Progress<'_> {
    fn line(&self) -> String {
        format!("[{:3}/{}] {:26} {:18}", self.n, self.of, self.scenario.name, self.proxy.name())
    }

    fn begins(&self) {
        if io::stderr().is_terminal() {
            eprint!("{} …", self.line());
        }
    }

    fn ends(&self, outcome: &Outcome) {
        let start = if io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        eprintln!("{start}{} {}", self.line(), short(&outcome.verdict));
    }
}

/// This process holds both ends of every client and backend.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < most) {
        // Where it fails, the scenarios with most clients say so.
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap_or_default();
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{cores} cores, Linux {}, {build} build of the runner and of smartproxy", kernel.trim())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
