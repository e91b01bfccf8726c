//! Instruction counts of the hot parts, against the committed ones: a regression that no noise hides.
//!
//! Each part is run twice under callgrind, `COUNT` and `2 × COUNT` times; the difference, divided by `COUNT`, is what one
//! costs, without the program's start. Instructions do not depend on what else the machine does; they do on the compiler
//! and the architecture, which the file therefore names. Where things lie in memory is the same each time: valgrind
//! places the program, and it gets no environment. What is left is the random keys of std's hash maps: they move the
//! start (building a table of routes) by some thousand instructions, so by less than one a part, and a table of one client
//! not at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use crate::report::grouped;

/// How often a part is run at first.
const COUNT: u32 = 4_000;

/// What `benches instructions` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Writes the counts of this run into the file.
    #[arg(long, env = "UPDATE_INSTRUCTIONS")]
    update: bool,
    /// The committed counts.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml"))]
    baseline: PathBuf,
}

/// The committed counts.
#[derive(Debug, PartialEq)]
struct Baseline {
    /// What they were made with.
    made_with: String,
    /// How far a count may be above its line, in percent.
    tolerance: f64,
    counts: BTreeMap<String, u64>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed (apt-get install valgrind)");
        return Ok(ExitCode::SUCCESS);
    }
    let hot = hot()?;
    let mut counts = BTreeMap::new();
    for name in names(&hot)? {
        eprintln!("{name} …");
        counts.insert(name.clone(), each(&hot, &name)?);
    }
    let old = std::fs::read_to_string(&options.baseline).unwrap_or_default();
    let old = Baseline::parse(&old).with_context(|| options.baseline.display().to_string())?;
    let (table, worse) = compare(&old, &counts);
    println!("{table}");
    if options.update {
        let new = Baseline { made_with: made_with(), counts, ..old };
        std::fs::write(&options.baseline, new.to_string())?;
        println!("written: {}", options.baseline.display());
        return Ok(ExitCode::SUCCESS);
    }
    if worse == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{worse} of these cost more than the committed counts allow, or are not among them.\n\
         The counts were made with {}; this is {}.\n\
         Where it is meant to be so: cargo run -p benches --release -- instructions --update",
        old.made_with,
        made_with()
    );
    Ok(ExitCode::FAILURE)
}

/// The program with the parts. Built with this one, unless only this one was.
fn hot() -> anyhow::Result<PathBuf> {
    let hot = std::env::current_exe()?.with_file_name("hot");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "benches",
            "--bin",
            "hot",
            "--target-dir",
        ]);
        let target = hot.parent().and_then(Path::parent).context("this program is in a target directory")?;
        let built = command.arg(target).current_dir(env!("CARGO_MANIFEST_DIR")).status()?;
        ensure!(built.success(), "{} does not build", hot.display());
    }
    ensure!(hot.is_file(), "{} is not there: cargo build -p benches --release", hot.display());
    Ok(hot)
}

fn names(hot: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new(hot).output()?;
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

/// What one costs, in instructions.
fn each(hot: &Path, name: &str) -> anyhow::Result<u64> {
    let (once, twice) = (total(hot, name, COUNT)?, total(hot, name, 2 * COUNT)?);
    Ok(twice.saturating_sub(once) / u64::from(COUNT))
}

fn total(hot: &Path, name: &str, count: u32) -> anyhow::Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(hot)
        .arg(name)
        .arg(count.to_string());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} under callgrind:\n{said}");
    collected(&said).with_context(|| format!("callgrind says no total:\n{said}"))
}

/// `==7== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.split_whitespace().next()?.parse().ok()
}

fn made_with() -> String {
    let version =
        Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    format!("{}, {}", String::from_utf8_lossy(&version).trim(), std::env::consts::ARCH)
}

/// The table, and how many are worse than they may be.
fn compare(old: &Baseline, new: &BTreeMap<String, u64>) -> (String, usize) {
    let (mut text, mut worse) = (String::from("| part | committed | now | |\n|---|---|---|---|\n"), 0);
    for (name, now) in new {
        let (committed, verdict, fails) = match old.counts.get(name) {
            None => ("–".to_owned(), "not committed".to_owned(), true),
            Some(was) => {
                let change = 100.0 * (*now as f64 - *was as f64) / (*was).max(1) as f64;
                let (word, fails) = match change {
                    _ if change > old.tolerance => (" WORSE", true),
                    _ if change < -old.tolerance => (", better: --update", false),
                    _ => ("", false),
                };
                (grouped(*was as f64, 0), format!("{change:+.1} %{word}"), fails)
            }
        };
        worse += usize::from(fails);
        let number = grouped(*now as f64, 0);
        writeln!(text, "| {name} | {committed} | {number} | {verdict} |").unwrap_or_default();
    }
    (text, worse)
}

impl Baseline {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let table: toml::Table = text.parse()?;
        let made_with = table.get("made_with").and_then(toml::Value::as_str).unwrap_or("nothing").to_owned();
        let tolerance = table.get("tolerance_percent").and_then(toml::Value::as_float).unwrap_or(5.0);
        let counts = table.get("instructions").and_then(toml::Value::as_table).into_iter().flatten();
        let count = |(name, value): (&String, &toml::Value)| {
            let value = value.as_integer().and_then(|value| u64::try_from(value).ok());
            value.map(|value| (name.clone(), value)).with_context(|| format!("{name} is no count"))
        };
        let counts = counts.map(count).collect::<anyhow::Result<_>>()?;
        Ok(Self { made_with, tolerance, counts })
    }
}

impl std::fmt::Display for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "# Instructions that the hot parts cost, each once; `benches instructions --update` writes this file."
        )?;
        writeln!(f, "made_with = \"{}\"", self.made_with)?;
        writeln!(
            f,
            "# How far above its line a part may be.\ntolerance_percent = {:?}\n\n[instructions]",
            self.tolerance
        )?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{name} = {count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let said = "==7== Events    : Ir\n==7== Collected : 4123456\n==7== \n";
        assert_eq!(collected(said), Some(4_123_456));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn a_baseline_is_written_as_it_is_read() {
        let counts = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2000)]);
        let baseline = Baseline { made_with: "rustc 1".to_owned(), tolerance: 5.0, counts };
        assert_eq!(Baseline::parse(&baseline.to_string()).unwrap(), baseline);
        assert!(Baseline::parse("[instructions]\na = -1").is_err());
    }

    #[test]
    fn only_what_is_worse_or_unknown_fails() {
        let old = Baseline::parse("[instructions]\nequal = 100\nworse = 100\nbetter = 100\n").unwrap();
        let new = [("equal", 105), ("worse", 106), ("better", 50), ("new", 1)];
        let new = new.map(|(name, count)| (name.to_owned(), count)).into();
        let (text, worse) = compare(&old, &new);
        assert_eq!(worse, 2, "{text}");
        assert!(
            text.contains("| worse | 100 | 106 | +6.0 % WORSE |")
                && text.contains("| equal | 100 | 105 | +5.0 % |")
        );
    }
}
