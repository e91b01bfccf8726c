//! The route stage: which route takes the connection, and what follows from that.

use proxy_conn::{Cause, ConnGuard, Deadlines, KeepAliveTreatment, Verdict};
use proxy_core::{ReadAhead, Stream};
use proxy_route::Query;
use proxy_upstream::{Candidates, Key};

use super::announce::is_grease;
use super::passage::Passage;
use super::peek::Peeked;
use crate::generation::RouteState;
use crate::pool::Pool;
use crate::settings::{Action, RouteConfig, SendProxy};

/// A connection whose way is known.
pub(super) struct Routed<'p, S, D> {
    pub(super) passage: Passage<'p, S, D>,
    pub(super) route: &'p RouteConfig,
    pub(super) state: &'p RouteState,
    pub(super) pool: &'p Pool,
    /// As they apply in its pool, under the pool's present pressure.
    pub(super) deadlines: Deadlines,
    /// The targets, in the order in which they are to be tried.
    pub(super) candidates: Candidates<'p>,
}

impl<'p, S, D> Routed<'p, S, D> {
    /// The same over another stream, that of the client's on which TLS is spoken or not, of which `ahead` was read.
    pub(super) fn over<'c, C>(self, client: &'c C, ahead: ReadAhead) -> Routed<'c, C, D>
    where
        'p: 'c,
    {
        let Self { passage, route, state, pool, deadlines, candidates } = self;
        Routed { passage: passage.over(client, ahead), route, state, pool, deadlines, candidates }
    }
}

/// Looks the connection up in the table.
pub(super) fn route<'p, S: Stream, D>(
    conn: &ConnGuard,
    _: Peeked,
    mut passage: Passage<'p, S, D>,
) -> Result<Routed<'p, S, D>, Verdict> {
    let Passage { origin, hello, at, proxy, .. } = &mut passage;
    let port = at.config.port;
    let offered: Vec<&[u8]> = hello.iter().flat_map(|hello| hello.alpn.iter()).collect();
    let query = Query {
        port,
        server_name: hello.as_ref().and_then(|hello| hello.server_name.as_deref()),
        client: origin.client.map(proxy_core::ClientAddr::ip),
        alpn: &offered,
    };
    let Some((matched, state)) = proxy
        .settings
        .routes
        .lookup(&query)
        .and_then(|found| Some((found, proxy.routes.of(found.index, found.payload)?)))
    else {
        let name = query.server_name.unwrap_or("no name");
        let detail = format!("no route of port {port} takes this client and server name ({name})");
        return Err(Verdict::explained(conn, Cause::NoRoute, detail));
    };
    // What the backend may be told of; a hello can offer thousands.
    hello.iter_mut().for_each(|hello| hello.alpn.keep_first(|protocol| !is_grease(protocol)));
    let route: &RouteConfig = matched.payload;
    conn.learn(|facts| facts.route = Some(state.name.clone()));
    if state.draining.is_on() {
        let detail = format!("route {} is being drained", route.name);
        return Err(Verdict::explained(conn, Cause::Draining, detail));
    }
    let chained = origin.chained || route.send_proxy != SendProxy::Off;
    let choice = route.pool(chained);
    let pool = proxy.pools.get(choice.place.index()).ok_or_else(|| Verdict::of(conn, Cause::NoRoute))?;
    conn.join(pool.id, choice.deadlines.keep_alive_treatment == KeepAliveTreatment::Immortal);
    if matches!(route.action, Action::Refuse) {
        return Err(Verdict::of(conn, Cause::RouteRefused));
    }
    let name = hello.as_ref().and_then(|hello| hello.server_name.as_deref());
    let key = Key::new(origin.client.map(proxy_core::ClientAddr::ip), name);
    let candidates = state.targets.candidates_for(port, &key);
    let deadlines = pool.pressed(&choice.behind(origin.proxies()));
    Ok(Routed { passage, route, state, pool, deadlines, candidates })
}
