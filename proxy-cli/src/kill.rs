//! `smartproxy kill`: ends connections, by id or by filter.

use std::io::{self, BufRead, IsTerminal, Write};

use hyper::Method;
use serde::Serialize;

use super::access::Access;
use super::client::{Client, ClientError};
use super::filter::{self, FilterArgs, Id};
use super::format::count;
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Filter, Kill, Killed};

/// Which connections to end.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both sides of a connection that is ended see a reset; its line in the access log says `killed`.
Above one connection it asks on a terminal, and elsewhere wants --yes.")]
pub struct Args {
    /// Their ids, as `conns` lists them.
    #[arg(value_name = "ID")]
    ids: Vec<Id>,
    /// All connections.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Say what would be ended, and end nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// What there is to do.
enum What {
    These(Vec<Id>),
    Matching(Box<Kill>),
}

impl Args {
    /// Ends them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let (dry_run, yes, json) = (self.dry_run, self.yes, self.json);
        let client = access.client()?;
        let filter = Filter::from(self.filter);
        match what(self.ids, filter, self.all)? {
            What::These(ids) => {
                if !dry_run && ids.len() > 1 {
                    confirm(yes, &format!("end {} connections?", ids.len()))?;
                }
                let report = by_id(&client, &ids, dry_run).await?;
                tell_ids(out, &report, dry_run, json)
            }
            What::Matching(kill) => matching(out, &client, *kill, [dry_run, yes, json]).await,
        }
    }
}

fn what(ids: Vec<Id>, filter: Filter, all: bool) -> Result<What, Failure> {
    let unfiltered = filter == Filter::default();
    let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
    match (ids.is_empty(), unfiltered, all) {
        (false, true, _) => Ok(What::These(ids)),
        (false, false, _) => usage("either ids or a filter, not both"),
        (true, true, false) => {
            usage("say which: ids, a filter such as --phase dial, or --all (see `smartproxy kill --help`)")
        }
        (true, false, true) => usage("either a filter or --all, not both"),
        (true, _, all) => Ok(What::Matching(Box::new(Kill { filter, all, dry_run: false }))),
    }
}

async fn matching(
    out: &mut dyn Write,
    client: &Client,
    kill: Kill,
    [dry_run, yes, json]: [bool; 3],
) -> Result<Outcome, Failure> {
    let filter = filter::told(&kill.filter);
    let which = if kill.all { "all connections".to_owned() } else { filter };
    let mut killed = ask(client, &Kill { dry_run: true, ..kill.clone() }).await?;
    if !dry_run && killed.matched > 0 {
        if killed.matched > 1 {
            confirm(yes, &format!("end {} connections ({which})?", killed.matched))?;
        }
        killed = ask(client, &kill).await?;
    }
    if json {
        output::json(out, &killed)?;
    } else {
        output::text(out, told(&killed, &which, dry_run))?;
    }
    Ok(Outcome::Done)
}

async fn ask(client: &Client, kill: &Kill) -> Result<Killed, ClientError> {
    client.ask_for(Method::POST, "/v1/connections/kill", kill).await
}

fn told(killed: &Killed, which: &str, dry_run: bool) -> String {
    let matched = count(killed.matched, "connection", "connections");
    if killed.matched == 0 {
        return format!("no connection matches: {which}\n");
    }
    if !dry_run {
        let before = killed.matched - killed.killed.min(killed.matched);
        let rest = if before > 0 { format!("; {before} were already ending") } else { String::new() };
        return format!("{} ended: {which}{rest}\n", count(killed.killed, "connection", "connections"));
    }
    let mut text = format!("{matched} would be ended: {which}\n");
    for id in &killed.ids {
        text.push_str(&format!("  {id}\n"));
    }
    let more = killed.matched.saturating_sub(killed.ids.len() as u64);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    text
}

/// What became of each id.
#[derive(Debug, Serialize)]
struct ById {
    /// Those that were ended, or would be.
    ended: Vec<String>,
    /// Those that are not there (any more), with what the proxy says.
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Missing {
    id: String,
    detail: String,
}

async fn by_id(client: &Client, ids: &[Id], dry_run: bool) -> Result<ById, ClientError> {
    let mut report = ById { ended: Vec::new(), missing: Vec::new() };
    for id in ids {
        let path = format!("/v1/connections/{}", id.as_str());
        let method = if dry_run { Method::GET } else { Method::DELETE };
        match client.ask::<serde_json::Value>(method, &path).await {
            Ok(_) => report.ended.push(id.as_str().to_owned()),
            Err(ClientError::Problem(problem)) if problem.status == 404 => {
                report.missing.push(Missing { id: id.as_str().to_owned(), detail: problem.detail });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

fn tell_ids(out: &mut dyn Write, report: &ById, dry_run: bool, json: bool) -> Result<Outcome, Failure> {
    if json {
        output::json(out, report)?;
    } else {
        let done = if dry_run { "would be ended" } else { "ended" };
        for id in &report.ended {
            output::text(out, format!("{id}: {done}\n"))?;
        }
        for missing in &report.missing {
            output::text(out, format!("{}: {}\n", missing.id, missing.detail))?;
        }
    }
    Ok(if report.missing.is_empty() { Outcome::Done } else { Outcome::No })
}

/// Asks whoever sits at the terminal, unless they said yes already.
fn confirm(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(Failure::Usage(format!("{question} Say --yes to do it, --dry-run to see which")));
    }
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Usage("nothing was ended".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<Id> {
        text.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    #[test]
    fn it_has_to_be_said_which_and_in_one_way() {
        let dial = || Filter { phase: Some("dial".to_owned()), ..Filter::default() };
        let refused = |ids: &str, filter, all| match what(self::ids(ids), filter, all) {
            Err(failure) => failure.to_string(),
            Ok(_) => panic!("it is taken"),
        };
        assert!(refused("", Filter::default(), false).starts_with("say which"));
        assert!(refused("a-1", dial(), false).starts_with("either ids or a filter"));
        assert!(refused("", dial(), true).starts_with("either a filter or --all"));
        assert!(
            matches!(what(ids("a-1 a-2"), Filter::default(), false), Ok(What::These(ids)) if ids.len() == 2)
        );
        for (filter, all) in [(dial(), false), (Filter::default(), true)] {
            let Ok(What::Matching(kill)) = what(Vec::new(), filter.clone(), all) else {
                panic!("it is refused")
            };
            assert_eq!((kill.filter, kill.all), (filter, all));
        }
    }

    #[test]
    fn what_was_ended_is_told() {
        let killed = |matched, killed, ids: &[&str]| Killed {
            matched,
            killed,
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
        };
        assert_eq!(told(&killed(0, 0, &[]), "phase=dial", true), "no connection matches: phase=dial\n");
        assert_eq!(told(&killed(1, 1, &["a-1"]), "x", false), "1 connection ended: x\n");
        assert_eq!(told(&killed(5, 3, &[]), "x", false), "3 connections ended: x; 2 were already ending\n");
        insta::assert_snapshot!(told(&killed(3, 0, &["a-1", "a-2"]), "phase=dial", true), @r"
        3 connections would be ended: phase=dial
          a-1
          a-2
          and 1 more
        ");
    }
}
