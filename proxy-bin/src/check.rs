//! `smartproxy check`: what is wrong with configurations, each for itself and one with the next.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use proxy_bin::config::{self, Config, Findings};
use proxy_cli::format::count;
use proxy_dataplane::descriptors;

use crate::{WRONG_COMMAND_LINE, fit, ink, print};

/// Says of each what is wrong with it; `strict`: with a warning, too, the answer is no.
///
/// # Errors
/// Where it cannot be said.
pub(crate) fn check(files: &[PathBuf], strict: bool) -> anyhow::Result<ExitCode> {
    let standard_input = |file: &&PathBuf| file.as_path() == Path::new("-");
    if files.iter().filter(standard_input).count() > 1 {
        print::err("smartproxy: standard input can be read once: name one file - at most");
        return Ok(ExitCode::from(WRONG_COMMAND_LINE));
    }
    let texts: Vec<_> = files.iter().map(|file| text_of(file)).collect();
    let mut warnings = 0;
    let read = texts.iter().zip(files).map(|(text, file)| one(text.as_deref(), file, &mut warnings));
    let read = read.collect::<anyhow::Result<Vec<_>>>()?;
    let mut proxies = 0;
    for hops in read.windows(2) {
        if let [Some(outer), Some(inner)] = hops {
            proxies = compare(outer, inner, proxies, &mut warnings)?;
        }
    }
    let good = read.iter().all(Option::is_some) && !(strict && warnings > 0);
    if strict && warnings > 0 {
        let warnings = count(warnings as u64, "warning", "warnings");
        print::err(format_args!("smartproxy: {warnings}, and --strict takes none"));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What standard input is called.
const STANDARD_INPUT: &str = "<standard input>";

/// What a file is called.
fn name_of(file: &Path) -> &Path {
    if file == Path::new("-") { Path::new(STANDARD_INPUT) } else { file }
}

/// The text of a file; None where that cannot be had, which is said then.
fn text_of(file: &Path) -> Option<String> {
    let name = name_of(file);
    let text = if name == file { Config::text_of(file) } else { Config::text_from(io::stdin().lock(), name) };
    text.map_err(|error| print::err(format_args!("smartproxy: {error}"))).ok()
}

/// What a text says, if it is fit to run here.
fn one(text: Option<&str>, file: &Path, warnings: &mut usize) -> anyhow::Result<Option<Config>> {
    let Some(text) = text else { return Ok(None) };
    let name = name_of(file);
    let read = Config::parse(text, name).map_err(config::LoadError::from);
    let Some(config) = fit(name, read) else { return Ok(None) };
    let mut of_this = config.warnings.len();
    of_this += told(&config.awaited_at_a_start());
    of_this += told(&config.egress_awaited());
    if let Some(warning) = descriptors::too_few(&config.settings, descriptors::attainable()) {
        print::err(format_args!("warning: {}: {warning}\n", name.display()));
        of_this += 1;
    }
    *warnings += of_this;
    let verdict = match of_this {
        0 => "fine".to_owned(),
        some => format!("no error, {}", count(some as u64, "warning", "warnings")),
    };
    let routes = count(config.settings.routes.len() as u64, "route", "routes");
    let groups = match config.settings.groups.len() {
        0 => String::new(),
        groups => format!("{}, ", count(groups as u64, "group", "groups")),
    };
    let sockets = count(config.settings.listeners.len() as u64, "listening socket", "listening sockets");
    let (name, each_client) = (name.display(), config.limits.of_each_client());
    let said =
        format!("{name}: {verdict} ({routes}, {groups}{sockets})\n{name}: each client: {each_client}\n");
    print::out(said.as_bytes())?;
    Ok(Some(config))
}

/// Says what was found; how much that is.
fn told(findings: &Findings) -> usize {
    if !findings.is_empty() {
        print::err(format_args!("{}\n", findings.render(ink())));
    }
    findings.len()
}

/// Says what does not fit of two neighbours in a chain, of which the first has so many proxies before it; how many the second
/// has.
fn compare(outer: &Config, inner: &Config, proxies: usize, warnings: &mut usize) -> anyhow::Result<usize> {
    let between = config::between(outer, inner, proxies);
    let found = told(&between.outer) + told(&between.inner);
    *warnings += found;
    let (first, second) = (&outer.origin.name, &inner.origin.name);
    if between.routes == 0 {
        *warnings += 1;
        print::err(format_args!("warning: {first} -> {second}: {}\n", unrelated(outer, inner)));
        return Ok(between.proxies);
    }
    let routes = count(between.routes as u64, "route", "routes");
    let said = match found {
        0 => format!("{routes}, which fit"),
        found => format!("{routes}, {}", count(found as u64, "warning", "warnings")),
    };
    print::out(format!("{first} -> {second}: {said}\n").as_bytes())?;
    Ok(between.proxies)
}

/// What there is to say of two files of which the first has no route that leads to the second.
fn unrelated(outer: &Config, inner: &Config) -> String {
    let (first, second) = (&outer.origin.name, &inner.origin.name);
    let turned = config::between(inner, outer, 0);
    match (turned.routes, turned.outer.is_empty() && turned.inner.is_empty()) {
        (0, _) => config::apart(outer, inner),
        (_, true) => format!("the other way round they fit, the client's side first: {second} {first}"),
        (_, false) => format!("it is the other way round, the client's side first: {second} {first}"),
    }
}
