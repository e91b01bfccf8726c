//! The admit stage: whether there is room for the connection, everywhere it needs some.
//!
//! Each limit is taken in one step, and what was taken is a guard: where a later one refuses, the earlier ones are given
//! back by being dropped. Two are not among them. The global limit's permit is taken at accept, and so is the client's place
//! among its own: it counts as the peer's there, and is exchanged once a header has said whose the connection is.

use std::net::IpAddr;
use std::pin::pin;

use proxy_conn::{
    AddressPermit, AddressRefusal, Cause, ConnGuard, DeadlineKind, Limit, Permit, Phase, QueueError,
    QueueLimits, Verdict, leave,
};
use proxy_core::Stream;
use tokio::time::Instant;

use super::client::while_client_stays;
use super::deadline::enter;
use super::passage::Passage;
use super::route::Routed;
use crate::generation::{Generation, Listener};
use crate::settings::{AtLimit, Greeting};

/// What an admitted connection holds for as long as it lives.
#[derive(Debug)]
pub(super) struct Permits {
    _process: Permit,
    _places: [Option<Permit>; 3],
}

/// A connection that may be served.
pub(super) struct Admitted<'p, S, D> {
    pub(super) permits: Permits,
    pub(super) routed: Routed<'p, S, D>,
}

/// A limit, what happens at it, and what it is called.
struct Place<'p> {
    limit: &'p Limit,
    at_limit: AtLimit,
    cause: Cause,
    kind: &'static str,
    name: &'p str,
}

/// Takes a place in everything that is limited; waits for one where the configuration says to.
pub(super) async fn admit<'p, S: Stream, D>(
    conn: &ConnGuard,
    process: Permit,
    mut routed: Routed<'p, S, D>,
) -> Result<Admitted<'p, S, D>, Verdict> {
    let (pool, route, listener) = (routed.pool, routed.route, routed.passage.at);
    enter(conn, Phase::Dial, routed.deadlines.connection_timeout, DeadlineKind::Dial)?;
    if let Some(refusal) = pool.refusal() {
        return Err(Verdict::explained(conn, Cause::Shed, format!("pool {}: {refusal}", pool.name)));
    }
    let at_limits = &routed.passage.proxy.settings.at_limit;
    let of_pool = Place {
        limit: &pool.limit,
        at_limit: pool.at_limit,
        cause: Cause::PoolLimit,
        kind: "pool",
        name: &pool.name,
    };
    let of_listener = Place {
        limit: &listener.limit,
        at_limit: *at_limits,
        cause: Cause::ListenerLimit,
        kind: "listener",
        name: &listener.label,
    };
    let of_route = Place {
        limit: &routed.state.limit,
        at_limit: route.at_limit,
        cause: Cause::RouteLimit,
        kind: "route",
        name: &route.name,
    };
    // The narrowest first: whoever waits for a place in a route takes none from its pool's other routes.
    let mut places = [None, None, None];
    for (place, wanted) in places.iter_mut().zip([of_route, of_listener, of_pool]) {
        match wanted.take(conn, &mut routed).await {
            Ok(permit) => *place = Some(permit),
            Err(refusal) => {
                if wanted.cause == Cause::PoolLimit {
                    pool.want();
                }
                if refusal.orderly {
                    // Not its place among all: while it is heard out it is a connection like any other.
                    drop(places);
                    leave(conn, routed.passage.client).await;
                    return Err(refusal.verdict.in_order());
                }
                return Err(refusal.verdict);
            }
        }
    }
    Ok(Admitted { permits: Permits { _process: process, _places: places }, routed })
}

/// A place for whoever is on the socket, as the client that it is unless it is trusted to speak for another one.
pub(super) fn the_peer<D>(
    conn: &ConnGuard,
    at: &Listener,
    proxy: &Generation<D>,
) -> Result<Option<AddressPermit>, Verdict> {
    let peer = conn.peer().ip();
    match at.config.greeting(peer) {
        Greeting::Plain => counted(conn, peer, proxy),
        // Those that are not let in are turned away before anything is waited for.
        Greeting::Header | Greeting::Either | Greeting::Refused => Ok(None),
    }
}

/// Exchanges the peer's place for the client's, now that it is known whose the connection is; None where it is nobody's.
pub(super) fn the_client<D>(
    conn: &ConnGuard,
    place: &mut Option<AddressPermit>,
    client: Option<IpAddr>,
    proxy: &Generation<D>,
) -> Result<(), Verdict> {
    let clients = proxy.clients.as_ref();
    let is_there = |ip| place.as_ref().zip(clients).is_some_and(|(place, clients)| clients.is_of(place, ip));
    match client {
        Some(ip) if is_there(ip) => {}
        Some(ip) => *place = counted(conn, ip, proxy)?,
        None => *place = None,
    }
    Ok(())
}

/// A place for one more connection of `ip`, where clients are counted.
fn counted<D>(conn: &ConnGuard, ip: IpAddr, proxy: &Generation<D>) -> Result<Option<AddressPermit>, Verdict> {
    let Some(clients) = &proxy.clients else { return Ok(None) };
    if proxy.settings.unlimited_clients.iter().any(|network| network.contains(ip)) {
        return Ok(clients.count_in(ip, Instant::now()));
    }
    clients.admit(ip, Instant::now()).map(Some).map_err(|refusal| refused_client(conn, refusal, ip))
}

/// A place among all connections, for one that came when the last was just taken. There are at most as many such as there
/// are accept loops, for these do not accept while there is no room.
pub(super) async fn to_the_process<S: Stream, D>(
    conn: &ConnGuard,
    permit: Option<Permit>,
    passage: &mut Passage<'_, S, D>,
) -> Result<Permit, Verdict> {
    if let Some(permit) = permit {
        return Ok(permit);
    }
    let (proxy, limit) = (passage.proxy, &passage.proxy.connections);
    let longest_wait = proxy.settings.deadlines.proxy_header_timeout;
    conn.deadline(Instant::now() + longest_wait.get(), DeadlineKind::Queue);
    let queue = QueueLimits::new(limit.most(), longest_wait);
    let early_data = proxy.settings.early_data;
    let waiting = pin!(limit.acquire_or_wait(&queue));
    let waited = while_client_stays(conn, passage.client, &mut passage.ahead, early_data, waiting).await?;
    waited.map_err(|_| {
        Verdict::explained(conn, Cause::GlobalLimit, format!("max_connections {} are open", limit.most()))
    })
}

/// Why there was no place, and whether the client gets a FIN.
struct Refusal {
    verdict: Verdict,
    orderly: bool,
}

impl From<Verdict> for Refusal {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, orderly: false }
    }
}

impl Place<'_> {
    /// A permit.
    async fn take<S: Stream, D>(
        &self,
        conn: &ConnGuard,
        routed: &mut Routed<'_, S, D>,
    ) -> Result<Permit, Refusal> {
        let limit = self.limit;
        match self.at_limit {
            AtLimit::Reject | AtLimit::Close => limit.acquire().ok_or_else(|| Refusal {
                verdict: self.refusal(conn, self.cause, &format!("{} are open", limit.most())),
                orderly: matches!(self.at_limit, AtLimit::Close),
            }),
            AtLimit::Queue(queue) => {
                let permit = self.wait(conn, limit, &queue, &mut routed.passage).await?;
                // The wait had a deadline of its own; the dial's begins now.
                let dial = routed.deadlines.connection_timeout.get();
                conn.deadline(Instant::now() + dial, DeadlineKind::Dial);
                Ok(permit)
            }
        }
    }

    /// Waits in line, for as long as the client does.
    async fn wait<S: Stream, D>(
        &self,
        conn: &ConnGuard,
        limit: &Limit,
        queue: &QueueLimits,
        passage: &mut Passage<'_, S, D>,
    ) -> Result<Permit, Verdict> {
        conn.deadline(Instant::now() + queue.longest_wait.get(), DeadlineKind::Queue);
        let early_data = passage.proxy.settings.early_data;
        if let Some(permit) = limit.acquire() {
            return Ok(permit);
        }
        let began = Instant::now();
        let waiting = pin!(limit.acquire_or_wait(queue));
        let waited = while_client_stays(conn, passage.client, &mut passage.ahead, early_data, waiting).await;
        conn.waited(began.elapsed());
        waited?.map_err(|error| {
            let cause = match error {
                QueueError::Full { .. } => Cause::QueueFull,
                QueueError::TimedOut { .. } => Cause::QueueTimeout,
            };
            self.refusal(conn, cause, &error.to_string())
        })
    }

    fn refusal(&self, conn: &ConnGuard, cause: Cause, why: &str) -> Verdict {
        Verdict::explained(conn, cause, format!("{} {}: {why}", self.kind, self.name))
    }
}

fn refused_client(conn: &ConnGuard, refusal: AddressRefusal, ip: IpAddr) -> Verdict {
    let cause = match refusal {
        AddressRefusal::AtOnce { .. } => Cause::ClientLimit,
        AddressRefusal::Rate { .. } => Cause::ClientRate,
        AddressRefusal::TableFull => Cause::ClientTable,
    };
    Verdict::explained(conn, cause, format!("{ip}: {refusal}"))
}
