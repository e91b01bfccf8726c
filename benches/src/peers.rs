//! Proxies side by side: the same load on each in turn, round after round, so that whatever else the machine does meets
//! all of them alike.

mod cell;
pub(crate) mod outcome;
pub(crate) mod proxy;
pub(crate) mod work;

use std::path::PathBuf;

use crate::clock;
use crate::cores::{allowed, pin};
use crate::load::Load;
use crate::namespace;
use crate::report;

pub(crate) use cell::{Amount, Cores};
pub(crate) use outcome::Outcome;
pub(crate) use proxy::{Proxy, Setting, Starter, Up};
pub(crate) use work::Work;

/// What `benches peers` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The works, with commas: short, rtt, bulk, idle, mass-close, chain (or chain-short, …), two-workers, tls (or tls-short,
    /// tls-resumed, tls-rtt, tls-bulk, tls-idle). Default: all.
    #[arg(long, value_delimiter = ',')]
    work: Vec<String>,
    /// The peers, with commas. Ours and the floor are always there.
    #[arg(long, value_delimiter = ',', default_value = "haproxy,nginx,envoy")]
    peers: Vec<Proxy>,
    /// How often each is measured; the medians are reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A quarter of the load.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    network: namespace::Options,
    /// Where peers.md, peers.json and peers.svg go.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let named: Result<Vec<_>, _> = options.work.iter().map(|name| Work::named(name)).collect();
    let mut works: Vec<_> = named.map_err(anyhow::Error::msg)?.into_iter().flatten().collect();
    if works.is_empty() {
        works.extend(Work::ALL);
    }
    let congestion = options.network.enter()?;
    eprintln!("congestion control: {congestion}");
    let mut bench = Bench::new(options.quick)?;
    let mut outcome = Outcome { rounds: options.rounds, congestion, ..Outcome::default() };
    let all = [&[Proxy::Smartproxy], options.peers.as_slice(), &[Proxy::Floor]].concat();
    let here = installed(&all, &mut outcome);
    for work in works {
        bench.work(work, &here, &mut outcome);
        println!("\n{}", report::table(work, &outcome));
        // After each, so that a run that is stopped leaves what it had.
        report::write(&outcome, options.out.as_deref())?;
    }
    Ok(())
}

/// Those of `all` that are here.
pub(crate) fn installed(all: &[Proxy], outcome: &mut Outcome) -> Vec<Proxy> {
    let mut here = Vec::new();
    for &proxy in all {
        match proxy.version() {
            Ok(version) => {
                eprintln!("{proxy}: {version}");
                outcome.versions.insert(proxy, version);
                here.push(proxy);
            }
            Err(how) => {
                eprintln!("skipped: {how}");
                outcome.notes.push(format!("skipped: {how}"));
            }
        }
    }
    here
}

/// The load, its core, and where proxies come from.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) starter: Starter,
    pub(crate) load: Load,
    pub(crate) cores: Cores,
    amount: Amount,
}

impl Bench {
    pub(crate) fn new(quick: bool) -> anyhow::Result<Self> {
        let starter = Starter::new()?;
        let [proxy, load] = allowed()?.try_into().or_else(|all: Vec<usize>| match all.as_slice() {
            [first, second, ..] => Ok([*first, *second]),
            _ => Err(anyhow::anyhow!("two cores are needed: one for the proxy, one for the load")),
        })?;
        pin(&[load])?;
        let amount = if quick { Amount::QUICK } else { Amount::FULL };
        Ok(Self { starter, load: Load::new()?, cores: Cores { proxy, load }, amount })
    }

    /// One work, on each proxy in turn, round after round.
    fn work(&mut self, work: Work, here: &[Proxy], outcome: &mut Outcome) {
        eprintln!("\n{}", work.title());
        let mut running = Vec::new();
        for &proxy in here.iter().filter(|proxy| !work.is_tls() || **proxy != Proxy::Floor) {
            let up = (!cell::starts_anew(work)).then(|| self.start(proxy, work)).transpose();
            match up {
                Ok(up) => running.push((proxy, up)),
                Err(error) => self.gives_up(proxy, work, &error, outcome),
            }
        }
        for round in 1..=outcome.rounds {
            let mut failed = Vec::new();
            for (proxy, up) in &running {
                let start = clock::now();
                match self.cell(work, *proxy, up.as_ref()) {
                    Ok(figures) => {
                        let shown = shown(work, &figures);
                        eprintln!(
                            "  {round}/{} {proxy:<10} {shown} ({:.1} s)",
                            outcome.rounds,
                            cell::seconds_since(start)
                        );
                        outcome.samples.entry(work).or_default().entry(*proxy).or_default().push(figures);
                    }
                    Err(error) => {
                        self.gives_up(*proxy, work, &error, outcome);
                        failed.push(*proxy);
                    }
                }
            }
            running.retain(|(proxy, _)| !failed.contains(proxy));
        }
    }

    fn start(&mut self, proxy: Proxy, work: Work) -> anyhow::Result<Up> {
        cell::start(&self.starter, proxy, work, &mut self.load, self.amount, self.cores)
    }

    fn cell(&mut self, work: Work, proxy: Proxy, up: Option<&Up>) -> anyhow::Result<Vec<f64>> {
        match up {
            Some(up) => cell::measure(work, up, &mut self.load, self.amount),
            None if work == Work::TwoWorkers => {
                cell::two_workers(&self.starter, proxy, &mut self.load, self.amount, self.cores)
            }
            None => {
                let up = self.start(proxy, work)?;
                cell::measure(work, &up, &mut self.load, self.amount)
            }
        }
    }

    /// Goes on without a proxy that does not do this work.
    fn gives_up(&mut self, proxy: Proxy, work: Work, error: &anyhow::Error, outcome: &mut Outcome) {
        eprintln!("  {proxy} fails: {error:#}");
        outcome.notes.push(format!("{proxy} failed at {}: {error:#}", work.key()));
        // What is left of its connections would meet the next one.
        self.load.hang_up();
        drop(self.load.rest(std::time::Duration::from_millis(100)));
    }
}

/// The first figures of a cell, to see how it goes.
fn shown(work: Work, figures: &[f64]) -> String {
    let pairs = work.figures().iter().zip(figures).take(3);
    pairs
        .map(|(figure, value)| format!("{value:.*} {}", figure.decimals, figure.name))
        .collect::<Vec<_>>()
        .join(", ")
}
