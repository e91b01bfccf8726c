//! The chain in one view: this hop and the others side by side, their tables joined.
//!
//! It is read when somebody asks, on the control runtime, and not again while it is fresh: whatever the number of those who look.

pub(super) mod last;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use proxy_api::chain::{self, HopTable, Joined};
use proxy_api::model::{Chain, ChainHop};
use proxy_cli::chain::{BETWEEN, table};
use tokio::time::Instant;

use super::api::Api;
use super::hops::{self, Said, Standing};
use super::query::Pairs;
use super::view::since_1970;
use super::{connections, hop};
use crate::admin::problem::Problem;
use crate::config::HopAt;
use proxy_core::process::memory;

/// How long a hop may take for each part of its table.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the reading of a hop may take in all.
const IN_ALL: Duration = Duration::from_secs(10);

/// Connections of a hop that are joined at most: two tables of so many take some 40 MiB while they are.
const MOST: u64 = 20_000;

/// Connections that are listed at most, and unless more are asked for.
const LISTED: usize = 10_000;
const USUAL: usize = 20;

/// For how long a view is shown to others, too.
const FRESH: Duration = Duration::from_secs(1);

/// `GET /v1/chain`.
pub(super) async fn chain(State(api): State<Arc<Api>>, mut pairs: Pairs) -> Result<Json<Chain>, Problem> {
    let expected = format!("a whole number from 1 to {LISTED}");
    let limit: usize = pairs.parsed("limit", &expected)?.unwrap_or(USUAL);
    if !(1..=LISTED).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is {limit}, expected {expected}")));
    }
    pairs.done(&["limit"])?;
    // Whoever comes meanwhile waits for the one view.
    let mut last = api.chain.lock().await;
    let chain = match &*last {
        Some((at, chain)) if at.elapsed() < FRESH => Arc::clone(chain),
        _ => {
            let reading = api.control().running().runtime.spawn(read(Arc::clone(&api)));
            let chain = reading
                .await
                .map_err(|lost| Problem::unavailable(format!("the chain was not read: {lost}")))?;
            Arc::clone(&last.insert((Instant::now(), Arc::new(chain))).1)
        }
    };
    drop(last);
    let mut chain = Chain::clone(&chain);
    chain.connections.truncate(limit);
    Ok(Json(chain))
}

/// Reads all hops, and joins them.
async fn read(api: Arc<Api>) -> Chain {
    let wanted = hops::wanted(&api);
    let others = join_all(wanted.iter().map(of_hop)).await;
    let own = own_table(&api);
    let chain = view(&api, &wanted, &own, &others);
    match joined(&api, &wanted, own, others).await {
        Ok(joined) => {
            let joining = tokio::task::spawn_blocking(move || {
                let chain = chain::chain(chain, &joined, LISTED);
                drop(joined);
                // What it took, a running proxy with few connections would never need again.
                memory::release();
                chain
            });
            joining.await.unwrap_or_else(|lost| Chain { not_joined: Some(lost.to_string()), ..nothing() })
        }
        Err(why) => Chain { not_joined: Some(why), ..chain },
    }
}

/// This hop's table.
fn own_table(api: &Api) -> Result<HopTable, String> {
    let (open, proxy) = (api.tracker().len() as u64, api.proxy());
    if open > MOST {
        return Err(format!("{} has {open} connections: tables of at most {MOST} are joined", api.name));
    }
    let routes = proxy.settings.routes.routes();
    let routes = routes.map(|route| (route.name().to_owned(), route.payload.send_proxy.tells_id())).collect();
    let listeners = proxy.listeners.iter().map(|at| at.label.to_string()).collect();
    Ok(HopTable { name: api.name.clone(), routes, listeners, connections: connections::all(api) })
}

async fn of_hop(at: &HopAt) -> Result<HopTable, String> {
    let client = hops::client(at, PATIENCE)?;
    match tokio::time::timeout(IN_ALL, table(&client, MOST)).await {
        Ok(read) => read.map_err(|error| hops::in_a_line(&error.to_string())),
        Err(_) => Err(format!("no whole table within {}s", IN_ALL.as_secs())),
    }
}

/// The tables joined, or why not.
async fn joined(
    api: &Api,
    wanted: &[HopAt],
    own: Result<HopTable, String>,
    others: Vec<Result<HopTable, String>>,
) -> Result<Joined, String> {
    if wanted.is_empty() {
        return Err("`[admin] hops` names no other hop".to_owned());
    }
    let tables: Vec<HopTable> = [own].into_iter().chain(others).collect::<Result<_, _>>()?;
    if let Some((outer, inner)) = chain::turned(&tables) {
        return Err(format!(
            "connections of {inner} have come through {outer}, which `[admin] hops` names after it: name them in the order in \
             which connections pass them"
        ));
    }
    let first = chain::join(tables);
    if first.is_whole() {
        return Ok(first);
    }
    tokio::time::sleep(BETWEEN).await;
    let others = join_all(wanted.iter().map(of_hop)).await;
    let again: Vec<HopTable> = [own_table(api)].into_iter().chain(others).collect::<Result<_, _>>()?;
    Ok(chain::join(again).confirmed_by(&first))
}

/// The hops side by side.
fn view(
    api: &Api,
    wanted: &[HopAt],
    own: &Result<HopTable, String>,
    others: &[Result<HopTable, String>],
) -> Chain {
    let (mut known, at) = (api.hops.known(), since_1970(SystemTime::now()));
    known.own.answered(Said { hop: hop::facts(api, 0), at, clock: None }, Instant::now());
    let mut hops = vec![side(&known.own, None, own, at)];
    let unknown = Standing::default();
    for (place, table) in wanted.iter().zip(others) {
        let standing = known.others.iter().find(|other| other.at == *place);
        hops.push(side(standing.map_or(&unknown, |other| &other.standing), Some(place), table, at));
    }
    let said: Vec<String> = hops.iter().map(|hop| hop.name.clone()).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    for (hop, name) in hops.iter_mut().zip(chain::names(&said)) {
        hop.name = name;
    }
    let (disagreements, not_compared) = match known.compared {
        Some(Ok(found)) => (found, None),
        Some(Err(why)) => (Vec::new(), Some(why)),
        None => (Vec::new(), Some("they have not been read yet".to_owned())),
    };
    Chain { at, hops, disagreements, not_compared, ..nothing() }
}

/// One hop, whose table was read or not; `now` is in seconds since 1970.
fn side(standing: &Standing, place: Option<&HopAt>, table: &Result<HopTable, String>, now: f64) -> ChainHop {
    let said = standing.said.as_ref();
    let unanswered = standing.unanswered();
    // A table that is too long to be read is an answer.
    let answers = table.is_ok() || (said.is_some() && unanswered.is_none());
    let since = (!answers).then(|| unanswered.map_or(now, |(since, _)| since));
    let of_table = table.as_ref().map(|table| table.name.clone());
    let place = place.map(|place| place.at.to_string());
    let clock = said.and_then(|said| said.clock);
    ChainHop {
        name: said.map(|said| said.hop.name.clone()).or(of_table.ok()).or(place.clone()).unwrap_or_default(),
        place,
        answers,
        silent_since: since,
        silent_for_s: since.map(|since| (now - since).max(0.0)),
        why: table.as_ref().err().cloned(),
        clock_ahead_s: clock.map(|(ahead, _)| ahead),
        clock_within_s: clock.map(|(_, within)| within),
        facts: said.map(|said| said.hop.clone()),
        minute: standing.minute(),
        connections: table.as_ref().ok().map(|table| table.connections.len() as u64),
        piles: table.as_ref().map(chain::piles).unwrap_or_default(),
    }
}

/// A view of which nothing is known yet.
fn nothing() -> Chain {
    Chain {
        at: 0.0,
        hops: Vec::new(),
        disagreements: Vec::new(),
        not_compared: None,
        not_joined: None,
        on_all_hops: 0,
        groups: Vec::new(),
        connections_total: 0,
        connections: Vec::new(),
    }
}
