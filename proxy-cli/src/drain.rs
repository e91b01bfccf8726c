//! `smartproxy drain`: a listener, a route, a target or everything takes no new connections, and how far that is.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use proxy_core::Bound;

use super::access::Access;
use super::client::{Client, ClientError};
use super::output::{self, Failure, Outcome};
use super::status::{drain_line, drained};
use proxy_api::model::{Drain, DrainKind, DrainRequest};

/// What to drain.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Connections that are open go on, until they end or --end-after has passed. So does the process:
`smartproxy stop` ends it.

Examples:
  smartproxy drain route api --wait          until the last connection of the route has ended
  smartproxy drain target 10.0.0.7:443 --end-after 60s
  smartproxy drain listener 127.0.0.1:8001 --undo
  smartproxy drain list                      what is being drained")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A listener: it accepts no more.
    Listener(Named),
    /// A route: it takes no new connections.
    Route(Named),
    /// A target, of every route that has it: it is not dialled any more.
    Target(Named),
    /// Everything: nothing is accepted any more.
    #[command(alias = "everything")]
    All(How),
    /// List what is being drained.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Which, by name.
    name: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Take new connections again.
    #[arg(long, conflicts_with_all = ["end_after", "wait"])]
    undo: bool,
    /// After so long, end those that are left.
    #[arg(long, value_name = "DURATION")]
    end_after: Option<Bound>,
    /// Wait until none is left, and say how far it is meanwhile.
    #[arg(long)]
    wait: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Drains it.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let (kind, name, how) = match self.what {
            What::Listener(named) => (DrainKind::Listener, Some(named.name), named.how),
            What::Route(named) => (DrainKind::Route, Some(named.name), named.how),
            What::Target(named) => (DrainKind::Target, Some(named.name), named.how),
            What::All(how) => (DrainKind::Everything, None, how),
            What::List { json } => return list(out, &access.client()?, json).await,
        };
        let client = access.client()?;
        let end_after_s = how.end_after.map(|after| after.get().as_secs_f64());
        let request = DrainRequest { kind, name, undo: how.undo, end_after_s };
        let mut drain: Drain = client.ask_for(Method::POST, "/v1/drain", &request).await?;
        if how.wait {
            drain = wait(out, &client, drain, how.json).await?;
        }
        if how.json {
            output::json(out, &drain)?;
        } else if how.undo {
            let what = drained(drain.kind, drain.name.as_deref());
            output::text(out, format!("{what}: takes new connections again\n"))?;
        } else {
            output::text(out, format!("{}\n", drain_line(&drain)))?;
        }
        Ok(Outcome::Done)
    }
}

async fn list(out: &mut dyn Write, client: &Client, json: bool) -> Result<Outcome, Failure> {
    let drains: Vec<Drain> = client.fetch("/v1/drains").await?;
    if json {
        output::json(out, &drains)?;
    } else if drains.is_empty() {
        output::text(out, "nothing is being drained\n")?;
    } else {
        for drain in &drains {
            output::text(out, format!("{}\n", drain_line(drain)))?;
        }
    }
    Ok(Outcome::Done)
}

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until none is left. Somebody else may undo the drain meanwhile: that ends the wait too, and is an error.
async fn wait(out: &mut dyn Write, client: &Client, mut drain: Drain, quiet: bool) -> Result<Drain, Failure> {
    let mut told = None;
    let overwrite = io::stdout().is_terminal();
    while drain.left > 0 {
        if !quiet && told != Some(drain.left) {
            let (begin, end) = if overwrite { ("\r\x1b[K", "") } else { ("", "\n") };
            output::text(out, format!("{begin}{}{end}", drain_line(&drain)))?;
            told = Some(drain.left);
        }
        tokio::time::sleep(LOOK).await;
        drain = look(client, &drain).await?.ok_or_else(|| {
            Failure::Usage(format!(
                "{}: somebody has undone the drain",
                drained(drain.kind, drain.name.as_deref())
            ))
        })?;
    }
    if overwrite && told.is_some() {
        output::text(out, "\r\x1b[K")?;
    }
    Ok(drain)
}

async fn look(client: &Client, drain: &Drain) -> Result<Option<Drain>, ClientError> {
    let drains: Vec<Drain> = client.fetch("/v1/drains").await?;
    Ok(drains.into_iter().find(|other| other.kind == drain.kind && other.name == drain.name))
}
