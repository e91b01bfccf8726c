//! `smartproxy reload` and `smartproxy diff`: what a configuration changes.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hyper::Method;

use super::access::Access;
use super::client::ClientError;
use super::format::{count, plain, plain_lines};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Change, ChangeKind, Diff, NEW_CONFIGURATION, Reload};

/// How to tell how it went.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 where the configuration is refused: nothing has changed then.")]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Reloads.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let reload: Reload = access.client()?.ask(Method::POST, "/v1/reload").await?;
        if self.json {
            output::json(out, &reload)?;
        } else {
            output::text(out, told(&reload))?;
        }
        Ok(if reload.taken { Outcome::Done } else { Outcome::No })
    }
}

fn told(reload: &Reload) -> String {
    let mut text = warnings(&reload.warnings);
    match &reload.error {
        Some(error) => text.push_str(&format!(
            "{error}\n\nrefused: generation {} is still in force, nothing has changed\n",
            reload.generation
        )),
        None => text.push_str(&format!(
            "{}generation {} is in force\n",
            changes(&reload.changes, "nothing has changed"),
            reload.generation
        )),
    }
    text
}

/// What would be reloaded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 where the file would be refused.")]
pub struct DiffArgs {
    /// The configuration file (TOML); `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl DiffArgs {
    /// Says what it would change.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let text = read(&self.file)
            .map_err(|source| Failure::File { file: self.file.display().to_string(), source })?;
        let diff: Diff = match client.ask_about("/v1/config/diff", text).await {
            Err(ClientError::Problem(problem)) if problem.status == INVALID && !self.json => {
                output::text(out, refused(&problem.detail, &self.file))?;
                return Ok(Outcome::No);
            }
            answer => answer?,
        };
        if self.json {
            output::json(out, &diff)?;
        } else {
            let changes = changes(&diff.changes, "it changes nothing");
            output::text(out, format!("{}{changes}", warnings(&diff.warnings)))?;
        }
        Ok(Outcome::Done)
    }
}

/// The status of a request whose configuration is not valid.
const INVALID: u16 = 422;

/// Why a file would be refused: the proxy, which is given its text alone, does not know what it is called.
fn refused(detail: &str, file: &Path) -> String {
    let name = if file == Path::new("-") { "<standard input>".into() } else { file.to_string_lossy() };
    let placed = detail.replace(&format!("--> {NEW_CONFIGURATION}:"), &format!("--> {name}:"));
    format!("{}\n\nrefused: {name} would not be taken\n", plain_lines(&placed))
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

fn warnings(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

/// A line a change, marked as in a patch.
fn changes(changes: &[Change], none: &str) -> String {
    if changes.is_empty() {
        return format!("{none}\n");
    }
    changes.iter().map(|change| format!("{}\n", plain(&line(change)))).collect()
}

fn line(change: &Change) -> String {
    let touched = if change.connections > 0 {
        format!("   ({} open)", count(change.connections, "connection", "connections"))
    } else {
        String::new()
    };
    let (from, to) = (change.from.as_deref(), change.to.as_deref());
    let value = |text: Option<&str>| text.map(|text| format!(": {text}")).unwrap_or_default();
    match change.kind {
        ChangeKind::Added => format!("+ {}{}{touched}", change.what, value(to)),
        ChangeKind::Removed => format!("- {}{}{touched}", change.what, value(from)),
        ChangeKind::Changed => {
            let nothing = "(not set)";
            format!("~ {}: {} → {}{touched}", change.what, from.unwrap_or(nothing), to.unwrap_or(nothing))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        kind: ChangeKind,
        what: &str,
        from: Option<&str>,
        to: Option<&str>,
        connections: u64,
    ) -> Change {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        Change { kind, what: what.to_owned(), from: owned(from), to: owned(to), connections }
    }

    fn reload(changes: Vec<Change>, error: Option<&str>) -> Reload {
        Reload {
            taken: error.is_none(),
            at: 0.0,
            generation: 4,
            changes,
            error: error.map(ToOwned::to_owned),
            warnings: vec!["`workers` takes effect at the next start".to_owned()],
        }
    }

    #[test]
    fn what_changed_is_told_as_a_patch_is() {
        let changes = vec![
            change(ChangeKind::Added, "listener *:443", None, None, 0),
            change(ChangeKind::Removed, "route api", Some("→ 10.0.0.7:443"), None, 12),
            change(ChangeKind::Changed, "limits.max_connections", None, Some("1000"), 1),
        ];
        insta::assert_snapshot!(told(&reload(changes, None)), @r"
        warning: `workers` takes effect at the next start
        + listener *:443
        - route api: → 10.0.0.7:443   (12 connections open)
        ~ limits.max_connections: (not set) → 1000   (1 connection open)
        generation 4 is in force
        ");
        insta::assert_snapshot!(told(&reload(Vec::new(), None)), @r"
        warning: `workers` takes effect at the next start
        nothing has changed
        generation 4 is in force
        ");
    }

    #[test]
    fn a_file_that_would_be_refused_has_its_own_name_in_the_places() {
        let error = format!(
            "error: unknown key `rout`\n --> {NEW_CONFIGURATION}:1:1\n  |\n1 | rout = 1\n  | ^^^^ did you mean `routes`?"
        );
        let told = refused(&error, Path::new("/etc/o.toml"));
        assert!(told.starts_with("error: unknown key `rout`\n --> /etc/o.toml:1:1\n"), "{told}");
        assert!(told.ends_with("\n\nrefused: /etc/o.toml would not be taken\n"), "{told}");
        assert!(refused(&error, Path::new("-")).contains("--> <standard input>:1:1\n"));
    }

    #[test]
    fn a_refusal_says_why_and_that_nothing_has_changed() {
        let error = "error: unknown key `rout`\n --> outer.toml:3:1";
        insta::assert_snapshot!(told(&reload(Vec::new(), Some(error))), @r"
        warning: `workers` takes effect at the next start
        error: unknown key `rout`
         --> outer.toml:3:1

        refused: generation 4 is still in force, nothing has changed
        ");
    }
}
