//! Reading one hop: what it says of itself, and its table.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::{Client, ClientError};
use crate::list::Ask;
use crate::output::Failure;
use proxy_api::chain::HopTable;
use proxy_api::model::{Filter, Hop, Listener, Route, SortBy};

/// What a hop has said of itself, and how its clock is.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What it said.
    pub hop: Hop,
    /// How far its clock is ahead of this machine's, in seconds; below zero if behind.
    pub clock_ahead_s: f64,
    /// How far off that may be, in seconds.
    pub clock_within_s: f64,
}

/// Asks a hop what it says of itself, with the deadlines of connections that came through so many proxies before. Cancel-safe.
///
/// # Errors
/// [`ClientError`].
pub async fn facts(client: &Client, proxies: usize) -> Result<Asked, ClientError> {
    let before = now();
    let hop: Hop = client.fetch(&format!("/v1/hop?behind={proxies}")).await?;
    let after = now();
    // It read its clock somewhere between: the middle is off by half at most.
    let (middle, half) = ((before + after) / 2.0, (after - before).max(0.0) / 2.0);
    Ok(Asked { clock_ahead_s: hop.at - middle, clock_within_s: half, hop })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The hop gave no answer, or no good one.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It has more connections than are read.
    #[error("{name} has {connections} connections: tables of at most {most} are joined")]
    TooLong {
        /// Which hop.
        name: String,
        /// How many it has.
        connections: u64,
        /// How many are read.
        most: u64,
    },
}

impl TableError {
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Client(error) => error.into(),
            long @ Self::TooLong { .. } => Failure::Usage(long.to_string()),
        }
    }
}

/// Reads a hop's table, if it has at most `most` connections. The last thing is what is joined, so that the hops' readings are near
/// each other. Cancel-safe.
///
/// # Errors
/// [`TableError`].
pub async fn table(client: &Client, most: u64) -> Result<HopTable, TableError> {
    let hop: Hop = client.fetch("/v1/hop").await?;
    if hop.connections > most {
        return Err(TableError::TooLong { name: hop.name, connections: hop.connections, most });
    }
    let routes: Vec<Route> = client.fetch("/v1/routes").await?;
    let listeners: Vec<Listener> = client.fetch("/v1/listeners").await?;
    // By id, so that few move from page to page while they are read.
    let ask = Ask { filter: Filter::default(), sort: SortBy::Id, reverse: false };
    let connections = ask.read(client, most).await?.connections;
    Ok(HopTable {
        name: hop.name,
        routes: routes.into_iter().map(|route| (route.name, route.sends_id)).collect(),
        listeners: listeners.into_iter().map(|listener| listener.name).collect(),
        connections,
    })
}
