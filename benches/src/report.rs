//! What a run came to, for people (Markdown, a chart) and for programs (JSON).

mod chart;
mod numbers;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::peers::outcome::Outcome;
use crate::peers::proxy::Proxy;
use crate::peers::work::{Bar, Figure, Work};

pub(crate) use numbers::{grouped, median};

/// The median of one figure for each proxy, in their order.
fn medians(work: Work, nth: usize, outcome: &Outcome) -> Vec<(Proxy, f64)> {
    let proxies = outcome.samples.get(&work).into_iter().flatten();
    let of = |rounds: &Vec<Vec<f64>>| median(rounds.iter().filter_map(|round| round.get(nth).copied()));
    proxies.filter_map(|(proxy, rounds)| Some((*proxy, of(rounds)?))).collect()
}

/// One work as a Markdown table: a column a proxy, with its ratio to ours, and whether the bar is passed.
pub(crate) fn table(work: Work, outcome: &Outcome) -> String {
    let rows: Vec<_> =
        (0..).zip(work.figures()).map(|(nth, figure)| (figure, medians(work, nth, outcome))).collect();
    let proxies: Vec<_> =
        rows.first().into_iter().flat_map(|(_, all)| all).map(|(proxy, _)| *proxy).collect();
    let mut text = format!("### {}\n\n| |", work.title());
    for proxy in &proxies {
        write!(text, " {proxy} |").unwrap_or_default();
    }
    write!(text, " bar | |\n|---|{}---|---|\n", "---|".repeat(proxies.len())).unwrap_or_default();
    for (figure, all) in &rows {
        text.push_str(&row(figure, all));
    }
    text
}

fn row(figure: &Figure, all: &[(Proxy, f64)]) -> String {
    let ours = all.iter().find(|(proxy, _)| *proxy == Proxy::Smartproxy).map(|(_, value)| *value);
    let mut text = format!("| {} |", figure.name);
    for (proxy, value) in all {
        let number = numbers::grouped(*value, figure.decimals);
        match ours.filter(|ours| *proxy != Proxy::Smartproxy && *ours > 0.0) {
            Some(ours) => write!(text, " {number} ({:.2} ×) |", value / ours),
            None => write!(text, " {number} |"),
        }
        .unwrap_or_default();
    }
    let bar = figure.bar.map(|bar| bar.to_string()).unwrap_or_default();
    writeln!(text, " {bar} | {} |", verdict(figure.bar, ours, all)).unwrap_or_default();
    text
}

fn verdict(bar: Option<Bar>, ours: Option<f64>, all: &[(Proxy, f64)]) -> &'static str {
    match bar.zip(ours).map(|(bar, ours)| bar.passes(ours, all)) {
        Some(Some(true)) => "pass",
        Some(Some(false)) => "FAIL",
        Some(None) => "no peer",
        None => "",
    }
}

/// Everything as JSON: the medians, and each round.
fn json(outcome: &Outcome) -> Value {
    let works = outcome.samples.iter().map(|(work, proxies)| {
        let of = |(proxy, rounds): (&Proxy, &Vec<Vec<f64>>)| {
            let figures = (0..).zip(work.figures()).map(|(nth, figure)| {
                let values: Vec<_> = rounds.iter().filter_map(|round| round.get(nth).copied()).collect();
                (
                    figure.name.to_owned(),
                    json!({ "median": median(values.iter().copied()), "rounds": values }),
                )
            });
            (proxy.name().to_owned(), Value::Object(figures.collect::<Map<_, _>>()))
        };
        (work.key().to_owned(), Value::Object(proxies.iter().map(of).collect()))
    });
    let versions = outcome.versions.iter().map(|(proxy, version)| (proxy.name().to_owned(), json!(version)));
    json!({
        "congestion": outcome.congestion,
        "rounds": outcome.rounds,
        "versions": Value::Object(versions.collect()),
        "notes": outcome.notes,
        "works": Value::Object(works.collect()),
    })
}

/// Writes peers.md, peers.json and peers.svg, where a directory is given.
pub(crate) fn write(outcome: &Outcome, dir: Option<&Path>) -> anyhow::Result<()> {
    let Some(dir) = dir else { return Ok(()) };
    std::fs::create_dir_all(dir)?;
    let mut text = format!("- congestion control: {}\n", outcome.congestion);
    for (proxy, version) in &outcome.versions {
        writeln!(text, "- {proxy}: {version}")?;
    }
    outcome.notes.iter().try_for_each(|note| writeln!(text, "- {note}"))?;
    for work in outcome.samples.keys() {
        write!(text, "\n{}", table(*work, outcome))?;
    }
    std::fs::write(dir.join("peers.md"), text)?;
    std::fs::write(dir.join("peers.json"), serde_json::to_string_pretty(&json(outcome))? + "\n")?;
    let groups: Vec<_> = outcome
        .samples
        .keys()
        .filter_map(|work| Some(chart::group(*work, medians(*work, 0, outcome))).flatten())
        .collect();
    std::fs::write(dir.join("peers.svg"), chart::svg(&groups))?;
    Ok(())
}

#[cfg(test)]
mod tests;
