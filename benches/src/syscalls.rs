//! System calls a unit of work: what each proxy asks the kernel for, counted by strace.
//!
//! strace is attached when the proxy is warm, so that its start is not counted. A proxy that is traced is slow, and takes
//! many events at a time: what it pays for waiting (`epoll_wait`) is less here than it is otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::namespace;
use crate::peers::{Bench, Outcome, Proxy, Setting, Up, installed};

/// Units of work that are traced, and connections at a time.
const UNITS: u32 = 2_000;
const AT_ONCE: u32 = 64;
const MESSAGE: u64 = 100;

/// What `benches syscalls` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The peers, with commas. Ours and the floor are always there.
    #[arg(long, value_delimiter = ',', default_value = "haproxy,nginx,envoy")]
    peers: Vec<Proxy>,
    #[command(flatten)]
    network: namespace::Options,
}

/// Calls by name: how many, and how many of them failed.
type Calls = BTreeMap<String, [u64; 2]>;

#[derive(Debug, Clone, Copy)]
enum Unit {
    Connection,
    RoundTrip,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed (apt-get install strace)");
        return Ok(());
    }
    println!("- congestion control: {}\n", options.network.enter()?);
    let mut bench = Bench::new(true)?;
    let here = installed(
        &[&[Proxy::Smartproxy], options.peers.as_slice(), &[Proxy::Floor]].concat(),
        &mut Outcome::default(),
    );
    for (unit, title) in [(Unit::Connection, "short connection"), (Unit::RoundTrip, "round trip")] {
        let mut all = BTreeMap::new();
        for &proxy in &here {
            eprintln!("{proxy}: {title} …");
            all.insert(proxy, traced(&mut bench, proxy, unit)?);
        }
        println!("### System calls for each {title}\n\n{}", table(&all));
    }
    Ok(())
}

fn traced(bench: &mut Bench, proxy: Proxy, unit: Unit) -> anyhow::Result<Calls> {
    let cores = [bench.cores.proxy];
    let setting = Setting::on(&cores);
    let up = bench.starter.start(proxy, bench.load.backends(), &setting)?;
    bench.load.bound(std::time::Duration::from_secs(120));
    bench.load.short(up.addr, UNITS / 10, AT_ONCE)?;
    bench.load.until_quiet()?;
    if matches!(unit, Unit::RoundTrip) {
        bench.load.idle(up.addr, AT_ONCE)?;
    }
    let tracer = Tracer::attach(&up)?;
    match unit {
        Unit::Connection => {
            bench.load.short(up.addr, UNITS, AT_ONCE)?;
            bench.load.until_quiet()?;
        }
        Unit::RoundTrip => drop(bench.load.round_trips(AT_ONCE, UNITS.into(), MESSAGE)?),
    }
    bench.load.rest(std::time::Duration::from_millis(50))?;
    let calls = tracer.detach()?;
    bench.load.close()?;
    Ok(calls)
}

/// A strace that counts what the processes of a proxy do.
struct Tracer {
    strace: Child,
    counts: tempfile::NamedTempFile,
}

impl Tracer {
    fn attach(up: &Up) -> anyhow::Result<Self> {
        let counts = tempfile::NamedTempFile::new()?;
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-U", "calls,errors,name", "-o"]).arg(counts.path());
        command.args(up.tree.pids().iter().map(|pid| format!("--attach={pid}")));
        let mut strace = command.stderr(Stdio::piped()).spawn()?;
        let said = strace.stderr.take().context("it is piped")?;
        // It says so once for each process; with more than one thread it names them, on the same line.
        for line in BufReader::new(said).lines().take(up.tree.pids().len()) {
            let line = line?;
            ensure!(line.contains("attached"), "strace: {line}");
        }
        Ok(Self { strace, counts })
    }

    fn detach(mut self) -> anyhow::Result<Calls> {
        kill_process(Pid::from_child(&self.strace), Signal::INT)?;
        self.strace.wait()?;
        Ok(parse(&std::fs::read_to_string(self.counts.path())?))
    }
}

/// Rows of `calls [errors] name`, between lines of dashes.
fn parse(text: &str) -> Calls {
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [calls, .., name] = fields.as_slice() else { return None };
        let errors = if let [_, errors, _] = fields.as_slice() { errors.parse().ok()? } else { 0 };
        Some(((*name).to_owned(), [calls.parse().ok()?, errors]))
    };
    text.lines().filter_map(row).filter(|(name, _)| name != "total").collect()
}

/// A row a call, a column a proxy; calls that failed (mostly `EAGAIN`) in brackets.
fn table(all: &BTreeMap<Proxy, Calls>) -> String {
    let each = |calls: u64| calls as f64 / f64::from(UNITS);
    let often = |calls: &Calls, name: &str| calls.get(name).copied().filter(|[n, _]| each(*n) >= 0.005);
    let names: BTreeSet<_> = all.values().flat_map(BTreeMap::keys).collect();
    let mut text = String::from("| |");
    all.keys().try_for_each(|proxy| write!(text, " {proxy} |")).unwrap_or_default();
    writeln!(text, "\n|---|{}", "---|".repeat(all.len())).unwrap_or_default();
    for name in names.into_iter().filter(|name| all.values().any(|calls| often(calls, name).is_some())) {
        write!(text, "| `{name}` |").unwrap_or_default();
        for calls in all.values() {
            match often(calls, name) {
                Some([n, 0]) => write!(text, " {:.2} |", each(n)),
                Some([n, errors]) => write!(text, " {:.2} ({:.2} failed) |", each(n), each(errors)),
                None => write!(text, " |"),
            }
            .unwrap_or_default();
        }
        text.push('\n');
    }
    let sum = |calls: &Calls| each(calls.values().map(|[n, _]| n).sum());
    text.push_str("| all |");
    all.values().try_for_each(|calls| write!(text, " **{:.2}** |", sum(calls))).unwrap_or_default();
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: &str = "    calls    errors syscall\n--------- --------- ----------------\n    4000       20 epoll_wait\n    2000          accept4\n       1          getpid\n--------- --------- ----------------\n    6001       20 total\n";

    #[test]
    fn rows_with_and_without_errors_are_read() {
        let calls = parse(COUNTED);
        assert_eq!(calls.len(), 3, "{calls:?}");
        assert_eq!((calls["epoll_wait"], calls["accept4"]), ([4000, 20], [2000, 0]));
    }

    #[test]
    fn a_table_has_calls_a_unit() {
        let text = table(&BTreeMap::from([(Proxy::Nginx, parse(COUNTED)), (Proxy::Floor, Calls::new())]));
        assert!(text.contains("| `epoll_wait` | 2.00 (0.01 failed) | |"), "{text}");
        assert!(text.contains("| `accept4` | 1.00 | |") && !text.contains("getpid"), "{text}");
        assert!(text.ends_with("| all | **3.00** | **0.00** |\n"), "{text}");
    }
}
