//! How cost grows: with connections that are open, routes, tracked entries, and the size of messages.

mod connections;
mod payload;
mod routes;
mod tracked;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::namespace;
use crate::peers::{Bench, Outcome, Proxy, Setting, Up, installed};
use crate::report::{grouped, median};

/// The bound of one measurement.
const BOUND: Duration = Duration::from_secs(120);

/// What `benches grow` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// With what, with commas. Default: all.
    #[arg(long, value_delimiter = ',', default_values = ["connections", "routes", "tracked", "payload"])]
    with: Vec<Growing>,
    /// Whose cost, with commas. Routes and tracked entries are about ours alone.
    #[arg(long, value_delimiter = ',', default_value = "smartproxy,nginx,floor")]
    proxies: Vec<Proxy>,
    /// How often each is measured; the medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A quarter of the load.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    network: namespace::Options,
    /// Where grow.md goes.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Growing {
    Connections,
    Routes,
    Tracked,
    Payload,
}

/// A run.
struct Run {
    bench: Bench,
    proxies: Vec<Proxy>,
    rounds: usize,
    /// By how much less is done.
    quick: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let congestion = options.network.enter()?;
    let bench = Bench::new(options.quick)?;
    let proxies = installed(&options.proxies, &mut Outcome::default());
    let mut run = Run { bench, proxies, rounds: options.rounds, quick: options.quick };
    let mut all = format!("- congestion control: {congestion}\n\n");
    print!("{all}");
    for with in &options.with {
        let text = match with {
            Growing::Connections => connections::table(&mut run)?,
            Growing::Routes => routes::table(&mut run)?,
            Growing::Tracked => tracked::table(&run),
            Growing::Payload => payload::table(&mut run)?,
        };
        println!("{text}");
        all = all + &text + "\n";
    }
    if let Some(dir) = &options.out {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("grow.md"), all)?;
    }
    Ok(())
}

impl Run {
    /// So many units, or a quarter.
    const fn amount(&self, full: u64) -> u64 {
        if self.quick { full / 4 } else { full }
    }

    fn start(&self, proxy: Proxy) -> anyhow::Result<Up> {
        let cores = [self.bench.cores.proxy];
        let setting = Setting::on(&cores);
        self.bench.starter.start(proxy, self.bench.load.backends(), &setting)
    }

    /// The proxy's CPU for each of `count` round trips, in microseconds, on the first `active` connections.
    fn round_trips(&mut self, up: &Up, active: u32, count: u64, message: u64) -> anyhow::Result<f64> {
        let load = &mut self.bench.load;
        load.bound(BOUND);
        let before = up.tree.cpu();
        load.round_trips(active, count, message)?;
        load.rest(Duration::from_millis(20))?;
        Ok((up.tree.cpu() - before).as_secs_f64() * 1e6 / count as f64)
    }
}

/// Figures by row and column, of several rounds.
#[derive(Default)]
struct Cells(BTreeMap<(u64, usize), Vec<f64>>);

impl Cells {
    fn push(&mut self, row: u64, column: usize, value: f64) {
        self.0.entry((row, column)).or_default().push(value);
    }

    /// A Markdown table of the medians. `columns`: their titles and decimals.
    fn table(
        &self,
        title: &str,
        rows: &str,
        columns: &[(String, usize)],
        row: impl Fn(u64) -> String,
    ) -> String {
        let mut text = format!("### {title}\n\n| {rows} |");
        columns.iter().try_for_each(|(column, _)| write!(text, " {column} |")).unwrap_or_default();
        writeln!(text, "\n|---|{}", "---|".repeat(columns.len())).unwrap_or_default();
        let mut sizes: Vec<_> = self.0.keys().map(|(row, _)| *row).collect();
        sizes.dedup();
        for size in sizes {
            write!(text, "| {} |", row(size)).unwrap_or_default();
            for (nth, (_, decimals)) in columns.iter().enumerate() {
                let value = self.0.get(&(size, nth)).and_then(|rounds| median(rounds.iter().copied()));
                let value = value.map(|value| grouped(value, *decimals)).unwrap_or_default();
                write!(text, " {value} |").unwrap_or_default();
            }
            text.push('\n');
        }
        text
    }
}

/// A number of things.
fn count(number: u64) -> String {
    grouped(number as f64, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_a_size_in_order() {
        let mut cells = Cells::default();
        for (row, column, value) in [(1000, 0, 2.0), (10, 0, 1.0), (10, 0, 3.0), (10, 1, 9.0), (10, 0, 2.5)] {
            cells.push(row, column, value);
        }
        let columns = [("a".to_owned(), 1), ("b".to_owned(), 0)];
        let text = cells.table("Title", "rows", &columns, count);
        assert_eq!(
            text,
            "### Title\n\n| rows | a | b |\n|---|---|---|\n| 10 | 2.5 | 9 |\n| 1 000 | 2.0 |  |\n"
        );
    }
}
