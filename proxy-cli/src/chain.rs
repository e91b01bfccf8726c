//! `smartproxy chain`: the hops of a chain side by side, and their tables joined by the ids that travel in the PROXY header.
//!
//! A proxy whose `[admin] hops` names the others is asked for all of it. Otherwise this command asks each hop itself.

mod read;
mod told;

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{join_all, try_join_all};

use super::access::{self, Access, AccessError};
use super::client::Client;
use super::format::plain;
use super::output::{self, Failure, Outcome};
use super::place::Place;
use proxy_api::chain::{self, HopTable};
use proxy_api::model::{Chain, ChainHop};

pub use read::{Asked, TableError, facts, table};

/// Which hops.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Connections are joined by their ids, which travel in the PROXY header v2. A route without
`send_proxy = \"v2\"`, or without the field `unique_id`, sends none: its connections are
counted apart.

Examples:
  smartproxy chain        the chain of the proxy that runs here: `[admin] hops` names its hops
  smartproxy chain --socket 10.0.0.1:9000
  smartproxy chain /run/outer/admin.sock /run/inner/admin.sock")]
pub struct Args {
    /// The admin APIs of the hops, the outermost first: paths of sockets, or addresses. If none is given: those that the proxy
    /// that runs here names in `[admin] hops`, or else those of the embedded chain that this user runs.
    #[arg(value_name = "PATH|ADDRESS", num_args = 2..)]
    hops: Vec<Place>,
    /// List at most so many connections; those that live on one hop only come first.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// Print JSON: times in seconds, and, where the hops are given, every connection.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Joins them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        if !self.hops.is_empty() {
            if access.names_a_proxy() {
                let usage = "either --socket says which proxy to ask for its chain, or the hops are given one after the other: \
                             chain outer.sock inner.sock";
                return Err(Failure::Usage(usage.to_owned()));
            }
            return self.of_hops(access, self.hops.clone(), out).await;
        }
        match access.client() {
            Ok(client) => self.of_proxy(access, &client, out).await,
            Err(error) if error.is_no_proxy() || error.is_ambiguous() => {
                self.of_hops(access, access::embedded_chain()?, out).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As the proxy sees it that names the others; where it names none, the embedded chain.
    async fn of_proxy(
        &self,
        access: &Access,
        client: &Client,
        out: &mut dyn Write,
    ) -> Result<Outcome, Failure> {
        let chain: Chain = client.fetch(&format!("/v1/chain?limit={}", self.limit.clamp(1, MOST))).await?;
        if chain.hops.len() > 1 {
            self.show(&chain, out)?;
            let all_answer = chain.hops.iter().all(|hop| hop.answers);
            return Ok(if all_answer { Outcome::Done } else { Outcome::No });
        }
        match access::embedded_chain() {
            Ok(hops) if !access.names_a_proxy() => self.of_hops(access, hops, out).await,
            Ok(_) | Err(_) => Err(Failure::Usage(format!(
                "{} names no other hop: name them in its configuration, `[admin] hops = [\"/run/inner/admin.sock\"]`, or here, the \
                 outermost first: smartproxy chain OUTER.sock INNER.sock",
                client.place()
            ))),
        }
    }

    /// As this command sees it.
    async fn of_hops(
        &self,
        access: &Access,
        hops: Vec<Place>,
        out: &mut dyn Write,
    ) -> Result<Outcome, Failure> {
        let clients: Vec<Client> = hops
            .into_iter()
            .map(|place| Ok(access.client_at(place)?.patient(PATIENCE)))
            .collect::<Result<_, AccessError>>()?;
        let tables = read_all(out, &clients, self.json).await?;
        if let Some((outer, inner)) = chain::turned(&tables) {
            let said = format!(
                "chain takes the client's side first: connections of {inner} have come through {outer}, which is named after it"
            );
            return Err(Failure::Usage(plain(&said)));
        }
        let hops = side_by_side(&clients, &tables).await?;
        let first = chain::join(tables);
        let joined = if first.is_whole() {
            first
        } else {
            tokio::time::sleep(BETWEEN).await;
            let again = clients.iter().map(|client| table(client, u64::MAX));
            chain::join(try_join_all(again).await.map_err(TableError::into_failure)?).confirmed_by(&first)
        };
        let most = if self.json { usize::MAX } else { self.limit };
        self.show(&chain::chain(of(hops), &joined, most), out)?;
        Ok(Outcome::Done)
    }

    fn show(&self, chain: &Chain, out: &mut dyn Write) -> Result<(), Failure> {
        if self.json { output::json(out, chain) } else { output::text(out, told::told(chain, self.limit)) }
    }
}

/// Reads the tables of all hops. Where one does not answer that is half of what there is to know; what piles up on the others is
/// the other half, and is told before the error.
async fn read_all(out: &mut dyn Write, clients: &[Client], json: bool) -> Result<Vec<HopTable>, Failure> {
    let (mut tables, mut failed) = (Vec::new(), None);
    for read in join_all(clients.iter().map(|client| table(client, u64::MAX))).await {
        match read {
            Ok(table) => tables.push(table),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let Some(error) = failed else { return Ok(tables) };
    for table in tables.iter().filter(|_| !json) {
        output::text(out, told::alone(&table.name, table.connections.len() as u64, &chain::piles(table)))?;
    }
    Err(error.into_failure())
}

/// What the hops say of themselves. Their clocks are compared with this machine's.
async fn side_by_side(clients: &[Client], tables: &[HopTable]) -> Result<Vec<ChainHop>, Failure> {
    let asked = clients.iter().enumerate().map(|(n, client)| facts(client, n));
    let all = try_join_all(asked).await?;
    let said: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
    let hops = all.into_iter().zip(tables).zip(chain::names(&said)).zip(clients);
    Ok(hops
        .map(|(((asked, table), name), client)| ChainHop {
            name,
            place: Some(client.place().to_string()),
            answers: true,
            silent_since: None,
            silent_for_s: None,
            why: None,
            clock_ahead_s: Some(asked.clock_ahead_s),
            clock_within_s: Some(asked.clock_within_s),
            facts: Some(asked.hop),
            minute: None,
            connections: Some(table.connections.len() as u64),
            piles: chain::piles(table),
        })
        .collect())
}

fn of(hops: Vec<ChainHop>) -> Chain {
    Chain {
        at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        hops,
        disagreements: Vec::new(),
        not_compared: Some(
            "only a proxy that names its hops compares their configurations; by hand: smartproxy check OUTER.toml INNER.toml"
                .to_owned(),
        ),
        not_joined: None,
        on_all_hops: 0,
        groups: Vec::new(),
        connections_total: 0,
        connections: Vec::new(),
    }
}

/// How long a hop may take to answer: one that is stuck is to be told soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between the readings: longer than a header takes from one hop to the next, and an end back.
pub const BETWEEN: Duration = Duration::from_millis(300);

/// The most connections that a proxy lists of its chain.
const MOST: usize = 10_000;
