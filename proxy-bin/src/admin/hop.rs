//! What this hop says of itself to its neighbours.

pub(super) mod deadlines;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use proxy_conn::Cause;

use super::api::Api;
use super::findings;
use super::query::Pairs;
use super::view::{secs, since_1970};
use crate::admin::problem::Problem;
use proxy_api::model::Hop;

/// More proxies than any chain has.
const MOST_PROXIES: usize = 16;

/// `GET /v1/hop`.
pub(super) async fn hop(State(api): State<Arc<Api>>, mut pairs: Pairs) -> Result<Json<Hop>, Problem> {
    let expected = format!("a whole number up to {MOST_PROXIES}");
    let proxies: usize = pairs.parsed("behind", &expected)?.unwrap_or(0);
    if proxies > MOST_PROXIES {
        return Err(Problem::bad_request(format!("`behind` is {proxies}, expected {expected}")));
    }
    pairs.done(&["behind"])?;
    Ok(Json(facts(&api, proxies)))
}

/// What it says, with the deadlines of connections that came through so many proxies. No connection is looked at.
pub(super) fn facts(api: &Api, proxies: usize) -> Hop {
    let (control, proxy, tracker) = (api.control(), api.proxy(), api.tracker());
    let counted = |cause: &Cause| (cause.name().to_owned(), tracker.ended(*cause));
    let refused = Cause::ALL.iter().filter(|cause| cause.is_refusal()).map(counted);
    Hop {
        name: api.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        at: since_1970(SystemTime::now()),
        uptime_s: secs(control.uptime()),
        state: control.state().name().to_owned(),
        ready: api.unready().is_none(),
        generation: control.generation(),
        connections: tracker.len() as u64,
        max_connections: proxy.connections.most() as u64,
        opened_total: tracker.opened(),
        ended_total: Cause::ALL.iter().map(|cause| tracker.ended(*cause)).sum(),
        refused_total: refused.filter(|(_, count)| *count > 0).collect(),
        deadlines: api.deadlines.of(&proxy, control.generation(), proxies),
        findings: findings::findings(api).into_iter().take(MOST_FINDINGS).collect(),
    }
}

/// Findings that neighbours are told at most: the worst.
const MOST_FINDINGS: usize = 20;
