//! `smartproxy chain`: the tables of several hops, joined by the ids that travel in the PROXY header.
//!
//! It answers what no single hop can: which connections live on one hop only. The tables are read at slightly different
//! times, so one reading proves nothing; only what is one-sided in two readings, on the same hop, is called so.

mod join;
mod report;

use std::io::Write;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use super::access::{self, Access, AccessError};
use super::client::{Client, ClientError};
use super::format::plain;
use super::list::Ask;
use super::output::{self, Failure, Outcome};
use super::place::Place;
use join::Hop;
use proxy_api::model::{Filter, Listener, Route, SortBy, Status};
use report::Report;

/// Which hops.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Connections are joined by their ids, which travel in the PROXY header v2. A route without
`send_proxy = \"v2\"`, or without the field `unique_id`, sends none: its connections are
counted apart.

Examples:
  smartproxy chain        the embedded chain that this user runs (`smartproxy demo`)
  smartproxy chain /run/outer/admin.sock /run/inner/admin.sock")]
pub struct Args {
    /// The admin APIs of the hops, the outermost first: paths of sockets, or addresses. If none is given: those of the
    /// embedded chain that this user runs.
    #[arg(value_name = "PATH|ADDRESS", num_args = 2..)]
    hops: Vec<Place>,
    /// List at most so many connections; those that live on one hop only come first.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// Print JSON: times in seconds, and every connection.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Joins them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        if access.names_a_proxy() {
            let usage =
                "chain takes the hops one after the other, without --socket: chain outer.sock inner.sock";
            return Err(Failure::Usage(usage.to_owned()));
        }
        let hops = if self.hops.is_empty() { access::embedded_chain()? } else { self.hops };
        let clients: Vec<Client> = hops
            .into_iter()
            .map(|place| Ok(access.client_at(place)?.patient(PATIENCE)))
            .collect::<Result<_, AccessError>>()?;
        let hops = read_all(out, &clients, self.json).await?;
        if let Some((outer, inner)) = join::turned(&hops) {
            let said = format!(
                "chain takes the client's side first: connections of {inner} have come through {outer}, which is named after it"
            );
            return Err(Failure::Usage(plain(&said)));
        }
        let first = join::join(hops);
        let joined = if first.is_whole() {
            first
        } else {
            tokio::time::sleep(BETWEEN).await;
            join::join(try_join_all(clients.iter().map(read)).await?).confirmed_by(&first)
        };
        let report = Report::of(&joined);
        if self.json {
            output::json(out, &report)?;
        } else {
            output::text(out, report.told(self.limit))?;
        }
        Ok(Outcome::Done)
    }
}

/// Reads all hops. Where one does not answer that is half of what there is to know; what piles up on the others is the other
/// half, and is told before the error.
async fn read_all(out: &mut dyn Write, clients: &[Client], json: bool) -> Result<Vec<Hop>, Failure> {
    let (mut hops, mut failed) = (Vec::new(), None);
    for read in join_all(clients.iter().map(read)).await {
        match read {
            Ok(hop) => hops.push(hop),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let Some(error) = failed else { return Ok(hops) };
    for hop in hops.iter().filter(|_| !json) {
        output::text(out, report::alone(hop))?;
    }
    Err(error.into())
}

/// How long a hop may take to answer: one that is stuck is to be told soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between the readings: longer than a header takes from one hop to the next, and an end back.
const BETWEEN: Duration = Duration::from_millis(300);

/// Reads one hop's tables. The last thing is what is joined, so that the hops' readings are near each other.
async fn read(client: &Client) -> Result<Hop, ClientError> {
    let status: Status = client.fetch("/v1/status").await?;
    let routes: Vec<Route> = client.fetch("/v1/routes").await?;
    let listeners: Vec<Listener> = client.fetch("/v1/listeners").await?;
    // By id, so that few move from page to page while they are read.
    let ask = Ask { filter: Filter::default(), sort: SortBy::Id, reverse: false };
    let connections = ask.read(client, u64::MAX).await?.connections;
    Ok(Hop {
        name: status.name,
        routes: routes.into_iter().map(|route| (route.name, route.sends_id)).collect(),
        listeners: listeners.into_iter().map(|listener| listener.name).collect(),
        connections,
    })
}
