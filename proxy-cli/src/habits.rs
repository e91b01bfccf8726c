//! Command lines as other programs have them: what is said is how this one is written.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The options with which other proxies check a file and stop.
const CHECKS: [&str; 4] = ["-t", "-T", "--test", "--check"];

/// The options with which they are given the file to run.
const FILES: [&str; 4] = ["-c", "-f", "--config", "--file"];

/// The error, with what was probably meant by `line`, whose first word is the program.
pub(super) fn told(mut error: clap::Error, line: &[OsString]) -> clap::Error {
    let words: Vec<&str> = line.iter().skip(1).filter_map(|word| word.to_str()).collect();
    if let Some(meant) = meant(error.kind(), &refused(&error), &words) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![meant.into()]));
    }
    error
}

/// The word that is refused.
fn refused(error: &clap::Error) -> String {
    let said = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| error.get(kind));
    said.map(ToString::to_string).unwrap_or_default()
}

fn meant(kind: ErrorKind, refused: &str, words: &[&str]) -> Option<String> {
    if kind == ErrorKind::TooFewValues && words.contains(&"chain") {
        return Some(
            "to compare neighbours: smartproxy chain OUTER INNER, a socket or an address each".to_owned(),
        );
    }
    if ![ErrorKind::InvalidSubcommand, ErrorKind::UnknownArgument].contains(&kind) {
        return None;
    }
    let is_first = words.first().is_some_and(|first| *first == refused);
    let file = || words.iter().skip(1).find(|word| !word.starts_with('-')).copied().unwrap_or("FILE");
    // HAProxy checks with -c and has the file after -f.
    let checks = CHECKS.contains(&refused) || (refused == "-c" && words.contains(&"-f"));
    match refused {
        _ if is_first && checks => Some(format!("to check a configuration: smartproxy check {}", file())),
        _ if is_first && FILES.contains(&refused) => {
            Some(format!("to run a configuration: smartproxy run {}", file()))
        }
        path if is_first && is_path(path) => Some(format!("to run a configuration: smartproxy run {path}")),
        "--level" if words.first() == Some(&"log") => {
            let level = words.iter().skip_while(|word| **word != "--level").nth(1).unwrap_or(&"LEVEL");
            Some(format!("to set how much is logged: smartproxy log {level}"))
        }
        name if words.first() == Some(&"drain") && !name.starts_with('-') => {
            Some(format!("to drain the route of that name: smartproxy drain route {name}"))
        }
        place if !is_first && (is_path(place) || place.contains(':')) => {
            let command = words.iter().find(|word| !word.starts_with('-'))?;
            Some(format!("to ask the proxy that is there: smartproxy {command} --socket {place}"))
        }
        _ => None,
    }
}

fn is_path(word: &str) -> bool {
    !word.starts_with('-') && word.contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::super::command;

    fn error(line: &str) -> String {
        let line: Vec<_> = line.split_whitespace().map(Into::into).collect();
        let error = command().try_get_matches_from(&line).expect_err("it is wrong");
        super::told(error, &line).to_string()
    }

    #[test]
    fn who_is_used_to_another_proxy_is_told_how_it_is_written_here() {
        for (line, meant) in [
            ("smartproxy proxy.toml", "smartproxy run proxy.toml"),
            ("smartproxy /etc/proxy", "smartproxy run /etc/proxy"),
            ("smartproxy -c proxy.toml", "smartproxy run proxy.toml"),
            ("smartproxy -f proxy.toml", "smartproxy run proxy.toml"),
            ("smartproxy --config", "smartproxy run FILE"),
            ("smartproxy -t", "smartproxy check FILE"),
            ("smartproxy -t -c proxy.toml", "smartproxy check proxy.toml"),
            ("smartproxy -c -f proxy.toml", "smartproxy check proxy.toml"),
            ("smartproxy status /run/a.sock", "smartproxy status --socket /run/a.sock"),
            ("smartproxy limits --json a.sock", "smartproxy limits --socket a.sock"),
            ("smartproxy conns 127.0.0.1:9000", "smartproxy conns --socket 127.0.0.1:9000"),
            ("smartproxy drain web", "smartproxy drain route web"),
            ("smartproxy log --level debug", "smartproxy log debug"),
            ("smartproxy chain one.sock", "smartproxy chain OUTER INNER, a socket or an address each"),
        ] {
            let error = error(line);
            assert!(error.contains("tip: to ") && error.contains(&format!(": {meant}\n")), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_no_such_habit_is_told_as_it_is() {
        for line in
            ["smartproxy statsu", "smartproxy status --jsno", "smartproxy status web", "smartproxy -x"]
        {
            let error = error(line);
            assert!(!error.contains("tip: to "), "{line}: {error}");
        }
        assert!(error("smartproxy statsu").contains("'status'"), "a near name is told by the parser");
    }
}
