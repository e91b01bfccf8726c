//! Connections: listed, looked at, ended.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use proxy_conn::{ConnId, Reason, Tracked, Tracker};
use tokio::time::Instant;
use tracing::warn;

use super::api::Api;
use super::body::JsonBody;
use super::filter::{KEYS, Selection, filter};
use super::query::{Id, Pairs};
use super::{socket, view};
use crate::admin::problem::Problem;
use proxy_api::model::{Connection, ConnectionInFull, Connections, Filter, Kill, Killed, SortBy};

/// Connections of a page, unless it is asked for more, and the most that may be.
const PAGE: u64 = 100;
const MOST: u64 = 10_000;
/// Ids that are told of those that were ended.
const IDS: usize = 100;

/// The keys of a page, beside those of the filter.
pub(super) const PAGE_KEYS: [&str; 4] = ["sort", "reverse", "limit", "offset"];

/// Which page of which list.
#[derive(Debug)]
pub(super) struct Page {
    sort: SortBy,
    reverse: bool,
    limit: usize,
    offset: usize,
}

impl Page {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let sort = pairs.take("sort").map_or(Ok(SortBy::default()), |name| sort(&name))?;
        let reverse = pairs.parsed("reverse", "true or false")?.unwrap_or(false);
        let number = "a whole number";
        let limit: u64 = pairs.parsed("limit", format!("{number} from 1 to {MOST}"))?.unwrap_or(PAGE);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::bad_request(format!(
                "`limit` is {limit}, expected {number} from 1 to {MOST}"
            )));
        }
        let offset: u64 = pairs.parsed("offset", number)?.unwrap_or(0);
        let index = |n| usize::try_from(n).unwrap_or(usize::MAX);
        Ok(Self { sort, reverse, limit: index(limit), offset: index(offset) })
    }
}

fn sort(name: &str) -> Result<SortBy, Problem> {
    Ok(match name {
        "age" => SortBy::Age,
        "idle" => SortBy::Idle,
        "bytes" => SortBy::Bytes,
        "in_phase" => SortBy::InPhase,
        "id" => SortBy::Id,
        _ => {
            let expected = "expected age, idle, bytes, in_phase or id";
            return Err(Problem::bad_request(format!("`sort` is \"{name}\", {expected}")));
        }
    })
}

/// Sorts; of two that are equal the one that was opened first is first.
fn sorted(mut connections: Vec<Tracked>, by: SortBy, reverse: bool, now: Instant) -> Vec<Tracked> {
    let id = |one: &Tracked| one.id();
    match by {
        SortBy::Age => connections.sort_by_cached_key(|one| (Reverse(one.age(now)), id(one))),
        SortBy::Idle => connections.sort_by_cached_key(|one| (Reverse(one.idle(now)), id(one))),
        SortBy::InPhase => connections.sort_by_cached_key(|one| (Reverse(one.in_phase(now)), id(one))),
        SortBy::Bytes => connections.sort_by_cached_key(|one| {
            let (from_client, from_backend) = one.bytes();
            (Reverse(from_client.saturating_add(from_backend)), id(one))
        }),
        SortBy::Id => connections.sort_by_key(id),
    }
    if reverse {
        connections.reverse();
    }
    connections
}

/// `GET /v1/connections`.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    mut pairs: Pairs,
) -> Result<Json<Connections>, Problem> {
    let (filter, page) = (filter(&mut pairs)?, Page::take(&mut pairs)?);
    pairs.done(&[&KEYS[..], &PAGE_KEYS[..]].concat())?;
    let proxy = api.proxy();
    let pools = view::pool_names(&proxy);
    let mut connections = api.tracker().connections();
    let (selection, now) = (Selection::of(filter, &proxy, &connections)?, Instant::now());
    let total = connections.len() as u64;
    connections.retain(|one| selection.takes(one, now));
    let matched = connections.len();
    let connections = sorted(connections, page.sort, page.reverse, now);
    let shown: Vec<_> = connections
        .iter()
        .skip(page.offset)
        .take(page.limit)
        .map(|one| view::connection(&one.view(now), one.is_immortal(), &pools, now))
        .collect();
    let end = page.offset.saturating_add(shown.len());
    let next = (!shown.is_empty() && end < matched).then_some(end as u64);
    Ok(Json(Connections { total, matched: matched as u64, connections: shown, next }))
}

/// All connections, as a list says them.
pub(super) fn all(api: &Api) -> Vec<Connection> {
    let (pools, now) = (view::pool_names(&api.proxy()), Instant::now());
    let all = api.tracker().connections();
    all.iter().map(|one| view::connection(&one.view(now), one.is_immortal(), &pools, now)).collect()
}

/// The connection with this id.
pub(super) fn find(tracker: &Tracker, id: ConnId) -> Result<Tracked, Problem> {
    let found = tracker.connections().into_iter().find(|one| one.id() == id);
    found.ok_or_else(|| {
        Problem::not_found(format!(
            "no connection {id} is open on this hop; if it was, it has ended: its line is in the access log"
        ))
    })
}

/// `GET /v1/connections/{id}`.
pub(super) async fn one(State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<ConnectionInFull>, Problem> {
    let (found, now) = (find(api.tracker(), id)?, Instant::now());
    let (client_socket, backend_socket) = socket::both(api.tracker(), &found, now);
    let pools = view::pool_names(&api.proxy());
    let connection = view::connection(&found.view(now), found.is_immortal(), &pools, now);
    Ok(Json(ConnectionInFull { connection, client_socket, backend_socket }))
}

/// `DELETE /v1/connections/{id}`.
pub(super) async fn kill_one(State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<Killed>, Problem> {
    let found = find(api.tracker(), id)?;
    let killed = u64::from(found.cancel(Reason::Killed));
    warn!(%id, killed, "an operator ends a connection");
    Ok(Json(Killed { matched: 1, killed, ids: vec![id.to_string()] }))
}

/// `POST /v1/connections/kill`.
pub(super) async fn kill(
    State(api): State<Arc<Api>>,
    JsonBody(Kill { filter, all, dry_run }): JsonBody<Kill>,
) -> Result<Json<Killed>, Problem> {
    let empty = filter == Filter::default();
    if empty && !all {
        return Err(Problem::bad_request(
            "the filter is empty, which would end every connection: say which, or `\"all\": true`",
        ));
    }
    if all && !empty {
        return Err(Problem::bad_request(
            "either a filter says which connections to end, or `all` does: not both",
        ));
    }
    let mut meant = api.tracker().connections();
    let (selection, now) = (Selection::of(filter.clone(), &api.proxy(), &meant)?, Instant::now());
    meant.retain(|one| selection.takes(one, now));
    let meant = sorted(meant, SortBy::Age, false, now);
    let killed = if dry_run { 0 } else { meant.iter().filter(|one| one.cancel(Reason::Killed)).count() };
    if !dry_run {
        warn!(matched = meant.len(), killed, filter = %told(&filter), "an operator ends connections");
    }
    let ids = meant.iter().take(IDS).map(|one| one.id().to_string()).collect();
    Ok(Json(Killed { matched: meant.len() as u64, killed: killed as u64, ids }))
}

/// A filter for the log: what it says, as JSON.
fn told(filter: &Filter) -> String {
    let mut said = serde_json::to_value(filter).unwrap_or_default();
    if let Some(keys) = said.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    said.to_string()
}

/// One connection, as a list says it.
pub(super) fn one_view(api: &Api, one: &Tracked, now: Instant) -> Connection {
    view::connection(&one.view(now), one.is_immortal(), &view::pool_names(&api.proxy()), now)
}
