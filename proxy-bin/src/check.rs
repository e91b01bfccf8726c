//! `smartproxy check`: what is wrong with configurations, each for itself and one with the next.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use proxy_bin::cli::format::count;
use proxy_bin::config::{self, Config};
use proxy_dataplane::descriptors;

use crate::{fit, ink, load, print};

/// Says of each what is wrong with it.
///
/// # Errors
/// Where it cannot be said.
pub(crate) fn check(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let standard_input = |file: &&PathBuf| file.as_path() == Path::new("-");
    if files.iter().filter(standard_input).count() > 1 {
        print::err("smartproxy: standard input can be read once: name one file - at most");
        return Ok(ExitCode::from(WRONG_COMMAND_LINE));
    }
    let read = files.iter().map(|file| one(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut proxies = 0;
    for hops in read.windows(2) {
        if let [Some(outer), Some(inner)] = hops {
            proxies = compare(outer, inner, proxies)?;
        }
    }
    Ok(if read.iter().all(Option::is_some) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As clap has it.
const WRONG_COMMAND_LINE: u8 = 2;

/// What standard input is called.
const STANDARD_INPUT: &str = "<standard input>";

/// What one of them says, if it is fit to run here.
fn one(file: &Path) -> anyhow::Result<Option<Config>> {
    let (name, config) = if file == Path::new("-") {
        let name = Path::new(STANDARD_INPUT);
        (name, fit(name, Config::read(io::stdin().lock(), name)))
    } else {
        (file, load(file))
    };
    let Some(config) = config else { return Ok(None) };
    let awaited = config.awaited_at_a_start();
    if !awaited.is_empty() {
        print::err(format_args!("{}\n", awaited.render(ink())));
    }
    if let Some(warning) = descriptors::too_few(&config.settings, descriptors::attainable()) {
        print::err(format_args!("warning: {warning}\n"));
    }
    let routes = count(config.settings.routes.len() as u64, "route", "routes");
    let sockets = count(config.settings.listeners.len() as u64, "listening socket", "listening sockets");
    let each_client = config.limits.of_each_client();
    let fine = format!("{}: fine ({routes}, {sockets})\neach client: {each_client}\n", name.display());
    print::out(fine.as_bytes())?;
    Ok(Some(config))
}

/// Says what does not fit of two neighbours in a chain, of which the first has so many proxies before it; how many the second
/// has.
fn compare(outer: &Config, inner: &Config, proxies: usize) -> anyhow::Result<usize> {
    let between = config::between(outer, inner, proxies);
    let found = [&between.outer, &between.inner];
    for findings in found.into_iter().filter(|findings| !findings.is_empty()) {
        print::err(format_args!("{}\n", findings.render(ink())));
    }
    let (first, second) = (&outer.origin.name, &inner.origin.name);
    if between.routes == 0 {
        print::err(format_args!("warning: {first} -> {second}: {}\n", unrelated(outer, inner)));
        return Ok(between.proxies);
    }
    let routes = count(between.routes as u64, "route", "routes");
    let said = match found.iter().map(|findings| findings.len() as u64).sum() {
        0 => format!("{routes}, which fit"),
        warnings => format!("{routes}, {}", count(warnings, "warning", "warnings")),
    };
    print::out(format!("{first} -> {second}: {said}\n").as_bytes())?;
    Ok(between.proxies)
}

/// What there is to say of two files of which the first has no route that leads to the second.
fn unrelated(outer: &Config, inner: &Config) -> String {
    let (first, second) = (&outer.origin.name, &inner.origin.name);
    let turned = config::between(inner, outer, 0);
    match (turned.routes, turned.outer.is_empty() && turned.inner.is_empty()) {
        (0, _) => "no route leads there, as far as the files show".to_owned(),
        (_, true) => format!("the other way round they fit, the client's side first: {second} {first}"),
        (_, false) => format!("it is the other way round, the client's side first: {second} {first}"),
    }
}
