//! A table of very many names: what it costs to start with, to check, to compare and to change one of them, beside the same names in
//! a map of HAProxy's and of nginx's, and beside another build of ours.

mod backend;
mod files;
mod process;
mod subject;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::report::{grouped, median};
use backend::Backend;
use files::Files;
use process::{Started, finished, in_time};
use subject::Subject;

/// What `benches routes` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Another build of ours, to be compared with: the path of its binary.
    #[arg(long)]
    before: Option<PathBuf>,
    /// How many routes there are, each with a name of its own.
    #[arg(long, default_value_t = 100_000)]
    routes: u32,
    /// How often each is measured; the medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where routes.md goes.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One line of the table.
struct Figure {
    name: &'static str,
    decimals: usize,
}

/// In the order of [`Measured::figures`].
const FIGURES: [Figure; 12] = [
    Figure { name: "s from the start until a name is served", decimals: 2 },
    Figure { name: "s of CPU for that", decimals: 2 },
    Figure { name: "KiB resident for each route, after the start", decimals: 3 },
    Figure { name: "KiB resident for each route, at most", decimals: 2 },
    Figure { name: "s to check the file", decimals: 2 },
    Figure { name: "s of CPU for that", decimals: 2 },
    Figure { name: "s to tell what one changed route changes", decimals: 2 },
    Figure { name: "s of CPU for that", decimals: 2 },
    Figure { name: "s from the reload until the changed route is served", decimals: 2 },
    Figure { name: "s of CPU for that and what follows", decimals: 2 },
    Figure { name: "KiB resident for each route, after the reload", decimals: 3 },
    Figure { name: "KiB resident for each route, at most", decimals: 2 },
];

/// What one round came to; None where there is no such thing.
type Measured = [Option<f64>; FIGURES.len()];

/// For so long memory has to stay as it is to count as being at rest: longer than the proxies take to look at it.
const AT_REST: Duration = Duration::from_secs(4);

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let backends = [Backend::start(b'a')?, Backend::start(b'b')?];
    let mut subjects = vec![Subject::ours()?];
    subjects.extend(options.before.clone().map(Subject::before));
    subjects.extend([Subject::haproxy(), Subject::nginx()]);
    subjects.retain(Subject::is_here);
    let mut rounds: BTreeMap<usize, Vec<Measured>> = BTreeMap::new();
    for round in 1..=options.rounds {
        for (nth, subject) in subjects.iter().enumerate() {
            eprintln!("round {round}/{}: {}", options.rounds, subject.name());
            let measured =
                measure(subject, options.routes, &backends).with_context(|| subject.name().to_owned())?;
            rounds.entry(nth).or_default().push(measured);
        }
    }
    let table = table(options.routes, &subjects, &rounds);
    println!("{table}");
    if let Some(dir) = &options.out {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("routes.md"), table)?;
    }
    Ok(())
}

/// One round of one of them: few routes first, so that what the program itself takes is known.
fn measure(subject: &Subject, routes: u32, backends: &[Backend; 2]) -> anyhow::Result<Measured> {
    const FEW: u32 = 10;
    let small = Files::write(subject.kind(), FEW, backends)?;
    let started = Started::of(subject, &small)?;
    let itself = started.at_rest(AT_REST)?;
    drop(started);
    let files = Files::write(subject.kind(), routes, backends)?;
    let each = |bytes: u64| bytes.saturating_sub(itself) as f64 / 1024.0 / f64::from(routes - FEW);
    let check = finished(&subject.check(&files))?;
    let mut started = Started::of(subject, &files)?;
    let start = [started.until_served.as_secs_f64(), started.cpu_to_start.as_secs_f64()];
    let (peak, rest) = (started.peak(), started.at_rest(AT_REST)?);
    let mut diff: [Option<Duration>; 2] = [None; 2];
    if let Some(command) = subject.diff(&files) {
        let before = started.cpu();
        let spent = in_time(finished(&command));
        started.at_rest(AT_REST)?;
        let own = spent.as_ref().map(|spent| spent.cpu).unwrap_or_default();
        diff = [spent.map(|spent| spent.wall), Some(own + (started.cpu() - before))];
    }
    let before = started.cpu();
    let (until_changed, own) = started.reload(subject, &files)?;
    let rest_again = started.at_rest(AT_REST)?;
    let reload_cpu = started.cpu() - before + own;
    let [until_served, cpu] = start.map(Some);
    Ok([
        until_served,
        cpu,
        Some(each(rest)),
        Some(each(peak)),
        Some(check.wall.as_secs_f64()),
        Some(check.cpu.as_secs_f64()),
        diff[0].map(|wall| wall.as_secs_f64()),
        diff[1].map(|cpu| cpu.as_secs_f64()),
        Some(until_changed.as_secs_f64()),
        Some(reload_cpu.as_secs_f64()),
        Some(each(rest_again)),
        Some(each(started.peak())),
    ])
}

/// The medians, with the ratio of each to ours.
fn table(routes: u32, subjects: &[Subject], rounds: &BTreeMap<usize, Vec<Measured>>) -> String {
    let mut text = format!("### {} routes, each with a name of its own\n\n| |", grouped(routes.into(), 0));
    for subject in subjects {
        write!(text, " {} |", subject.name()).unwrap_or_default();
    }
    writeln!(text, "\n|---|{}", "---|".repeat(subjects.len())).unwrap_or_default();
    for (row, figure) in FIGURES.iter().enumerate() {
        let median = |nth: usize| {
            let of = rounds.get(&nth).into_iter().flatten();
            median(of.filter_map(|round| round.get(row).copied().flatten()))
        };
        write!(text, "| {} |", figure.name).unwrap_or_default();
        for nth in 0..subjects.len() {
            text.push_str(&cell(median(nth), median(0).filter(|_| nth > 0), figure.decimals));
        }
        text.push('\n');
    }
    text
}

fn cell(value: Option<f64>, ours: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else { return " |".to_owned() };
    match ours.filter(|ours| *ours > 0.0) {
        Some(ours) => format!(" {} ({:.2} ×) |", grouped(value, decimals), value / ours),
        None => format!(" {} |", grouped(value, decimals)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_stands_beside_ours_with_its_ratio() {
        let subjects = [Subject::haproxy(), Subject::nginx()];
        let mut first = [Some(2.0); FIGURES.len()];
        first[6] = None;
        let rounds = BTreeMap::from([(0, vec![[Some(1.0); FIGURES.len()]]), (1, vec![first])]);
        let table = table(100_000, &subjects, &rounds);
        assert!(
            table.contains("| s from the start until a name is served | 1.00 | 2.00 (2.00 ×) |"),
            "{table}"
        );
        assert!(table.contains("| s to tell what one changed route changes | 1.00 | |"), "{table}");
        assert_eq!(table.lines().count(), 4 + FIGURES.len());
    }
}
