//! Results as a table, for a terminal and for Markdown.

use std::fmt::Write as _;

use super::outcome::{Outcome, ProxyInfo, Results, Verdict};
use super::stage::seconds;

/// Between two columns of the terminal's table.
const GAP: usize = 2;

/// For a terminal: scenario × proxy, then every breach in full.
#[must_use]
pub fn table(results: &Results) -> String {
    let mut rows = vec![head(results)];
    for scenario in results.scenarios() {
        let cells =
            results.proxies.iter().map(|proxy| results.of(scenario, &proxy.name).map_or(String::new(), cell));
        rows.push([scenario.to_owned()].into_iter().chain(cells).collect());
    }
    rows.push(totals(results));
    let columns = rows.first().map_or(0, Vec::len);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default() + GAP).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(&mut text, cells.collect::<String>().trim_end());
    }
    line(
        &mut text,
        "\nok or the law that was broken; most sockets of outer + inner hop; time until both had none; again: time until clients\n\
         were served again.",
    );
    for (outcome, how) in breaches(results) {
        line(
            &mut text,
            &format!("\n{} · {}\n  expected: {}", outcome.proxy, outcome.scenario, outcome.expected),
        );
        how.iter().for_each(|how| line(&mut text, &format!("  broken:   {how}")));
    }
    text
}

/// For a document: on what it was run, the table, every breach, and what is not the same in all configurations.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut text = format!("Run on {}.\n\n", results.machine);
    for proxy in &results.proxies {
        line(&mut text, &format!("- **{}**: {}", proxy.name, proxy.version));
        proxy.notes.iter().for_each(|note| line(&mut text, &format!("  - {note}")));
    }
    line(&mut text, "");
    row(&mut text, &head(results));
    row(&mut text, &vec!["---".to_owned(); results.proxies.len() + 1]);
    for scenario in results.scenarios() {
        let cells = results
            .proxies
            .iter()
            .map(|proxy| results.of(scenario, &proxy.name).map_or(String::new(), bold_cell));
        row(&mut text, &[format!("`{scenario}`")].into_iter().chain(cells).collect::<Vec<_>>());
    }
    row(&mut text, &totals(results));
    line(
        &mut text,
        "\nEach cell: ok or the law that was broken; the most sockets that the outer and the inner hop had open; the time until both had none; \
         after \"again\", the time until clients were served again once nothing was in the way.",
    );
    line(&mut text, "\n### What was expected, and what was broken\n");
    for scenario in results.scenarios() {
        let all = || results.outcomes.iter().filter(|outcome| outcome.scenario == scenario);
        let expected = all().map(|outcome| outcome.expected.as_str()).next().unwrap_or_default();
        line(&mut text, &format!("- `{scenario}`: {expected}."));
        for outcome in all() {
            let told = told(outcome);
            told.iter().for_each(|how| line(&mut text, &format!("  - **{}** {how}", outcome.proxy)));
        }
    }
    line(&mut text, "\n### How they were configured\n");
    results.proxies.iter().for_each(|proxy| configuration(&mut text, proxy));
    text
}

fn configuration(text: &mut String, proxy: &ProxyInfo) {
    for (hop, configured) in ["outer", "inner"].iter().zip(&proxy.configuration) {
        let summary = format!("<details><summary>{}, {hop} hop</summary>", proxy.name);
        line(text, &format!("{summary}\n\n```\n{}\n```\n\n</details>\n", configured.trim_end()));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn row(text: &mut String, cells: &[String]) {
    line(text, &format!("| {} |", cells.join(" | ")));
}

fn head(results: &Results) -> Vec<String> {
    let names = results.proxies.iter().map(|proxy| proxy.name.clone());
    ["scenario".to_owned()].into_iter().chain(names).collect()
}

fn totals(results: &Results) -> Vec<String> {
    let total = |name: &str| {
        let all = || results.outcomes.iter().filter(|outcome| outcome.proxy == name);
        let told =
            all().filter(|outcome| matches!(outcome.verdict, Verdict::Pass | Verdict::Fails { .. })).count();
        let passed = all().filter(|outcome| outcome.verdict == Verdict::Pass).count();
        format!("{passed} of {told} ok")
    };
    let totals = results.proxies.iter().map(|proxy| total(&proxy.name));
    ["all".to_owned()].into_iter().chain(totals).collect()
}

/// What a verdict is in a word or two.
#[must_use]
pub fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "ok".to_owned(),
        Verdict::Fails { breaches } => {
            let mut laws: Vec<_> = breaches.iter().map(|breach| breach.law.to_string()).collect();
            laws.dedup();
            laws.join("+").to_uppercase()
        }
        Verdict::Skipped { .. } => "skipped".to_owned(),
        Verdict::Broken { .. } => "not told".to_owned(),
    }
}

fn cell(outcome: &Outcome) -> String {
    let mut cell = short(&outcome.verdict);
    if matches!(outcome.verdict, Verdict::Pass | Verdict::Fails { .. }) {
        let [outer, inner] = outcome.figures.peak;
        write!(cell, " {outer}+{inner}").unwrap_or_default();
        match outcome.figures.settled_ms {
            Some(settled) => write!(cell, " {}", seconds(settled)),
            None => write!(cell, " never"),
        }
        .unwrap_or_default();
        if let Some(again) = outcome.figures.served_again_ms {
            write!(cell, ", again {}", seconds(again)).unwrap_or_default();
        }
    }
    cell
}

fn bold_cell(outcome: &Outcome) -> String {
    let (cell, short) = (cell(outcome), short(&outcome.verdict));
    match outcome.verdict.is_breach() {
        true => cell.replacen(&short, &format!("**{}**", short.to_lowercase()), 1),
        false => cell,
    }
}

/// Whatever is to be said of an outcome beside ok.
#[must_use]
pub fn told(outcome: &Outcome) -> Vec<String> {
    match &outcome.verdict {
        Verdict::Pass => Vec::new(),
        Verdict::Fails { breaches } => breaches.iter().map(ToString::to_string).collect(),
        Verdict::Skipped { why } => vec![format!("skipped: {why}")],
        Verdict::Broken { why } => vec![format!("not told: {}", why.replace('\n', " · "))],
    }
}

fn breaches(results: &Results) -> impl Iterator<Item = (&Outcome, Vec<String>)> {
    results.outcomes.iter().map(|outcome| (outcome, told(outcome))).filter(|(_, told)| !told.is_empty())
}
