//! The stage in the place of dial and relay, where a route is served by requests.
//!
//! ```text
//! routed ─► [tls] ─► admit ─► idle ◄─► busy: request ─► exchange with a backend ─► answer
//!                                │        │ 101
//!                                │        └─► relay ─► (drain) ─► gone
//!                                └─► gone: the client ends, nothing for too long, another configuration is in force
//! ```
//! Each request finds its backend by itself, over a connection that is kept for it or made for it ([`exchange`], [`reach`]). What the client
//! holds (its place among all, in the route, the listener and the pool) it holds as any other connection does.

mod exchange;
mod reach;
mod rules;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_conn::{Cause, ConnGuard, DeadlineKind, Deadlines, Permit, Phase, Verdict};
use proxy_core::hello::ClientHello;
use proxy_core::relay::{Engine as _, NextTo, PollLoop, Preface, RelayDeadline, RelayEnd};
use proxy_core::stream::write_all;
use proxy_core::{Bound, Dial, Side, Stream};
use proxy_http::{Asked, Handler, Options, Place, Served, Told, Tunnel};
use proxy_tls::MaybeTls;
use tokio::time::{Instant, timeout_at};

use super::admit::{self, Admitted};
use super::origin::Origin;
use super::passage::Passage;
use super::route::Routed;
use super::tls;
use crate::generation::{Generation, RouteState};
use crate::settings::{HttpRoute, RouteConfig};

/// What answers the requests of one client.
struct Requests<'p, C, D> {
    conn: &'p ConnGuard,
    /// The client's stream, for what a PROXY header says of it.
    client: &'p C,
    origin: Origin,
    hello: Option<ClientHello>,
    proxy: &'p Generation<D>,
    route: &'p RouteConfig,
    http: &'p HttpRoute,
    /// Its deadlines, those of the connection among them.
    options: Options,
    state: &'p RouteState,
    deadlines: Deadlines,
    /// The port that it came in on.
    port: u16,
    is_secure: bool,
    /// Where connections are kept that are this client's alone.
    own: Mutex<HashSet<Place>>,
}

/// Serves requests until the client's connection ends, or a tunnel does.
pub(super) async fn serve<S: Stream, D: Dial>(
    conn: &ConnGuard,
    accepted: &S,
    process: Permit,
    mut routed: Routed<'_, S, D>,
) -> Verdict {
    let (client, ahead) = match tls::client_side(conn, accepted, &mut routed).await {
        Ok(both) => both,
        Err(verdict) => return verdict,
    };
    let admitted = Box::pin(admit::admit(conn, process, routed.over(&client, ahead))).await;
    let Admitted { permits: _permits, routed } = match admitted {
        Ok(admitted) => admitted,
        Err(verdict) => return verdict,
    };
    let Routed { passage, route, state, deadlines, .. } = routed;
    let Passage { ahead, origin, hello, at, proxy, .. } = passage;
    // INVARIANT: this stage is for routes that have it.
    let Some(http) = route.http.as_deref() else { return Verdict::of(conn, Cause::Aborted) };
    let mut options = http.options;
    options.connection_timeout = deadlines.connection_timeout;
    options.write_stall_timeout = deadlines.write_stall_timeout;
    let requests = Requests {
        conn,
        client: &client,
        origin,
        hello,
        proxy,
        route,
        http,
        options,
        state,
        deadlines,
        port: at.config.port,
        is_secure: matches!(client, MaybeTls::Tls(_)),
        own: Mutex::default(),
    };
    let served = proxy_http::serve(conn, &client, ahead, &requests, &requests.options).await;
    let verdict = match served {
        Served::Ended(verdict) => verdict,
        Served::Switched { tunnel, ahead } => relayed(&requests, tunnel, ahead).await,
    };
    tls::truncated(conn, &client, verdict)
}

/// Relays what a client and a backend say that have both left HTTP behind.
async fn relayed<C: Stream, B: Stream, D>(
    requests: &Requests<'_, C, D>,
    tunnel: Tunnel<B>,
    ahead: Vec<u8>,
) -> Verdict {
    let Requests { conn, client, state, deadlines, origin, .. } = requests;
    let Tunnel { stream, read, permit: _permit, conn: pooled } = tunnel;
    // Whose socket it is is told by one entry at a time.
    drop(pooled);
    conn.hold(Side::Backend, stream.descriptor());
    let idle = Instant::now() + deadlines.idle().get();
    if let Err(end) = conn.enter(Phase::Relay, idle, DeadlineKind::Relay(RelayDeadline::Idle)) {
        return end.into();
    }
    let mut limits = deadlines.relay_limits(conn.opened());
    // It has said something: both have, before it became a tunnel.
    limits.no_data = Bound::MAX;
    limits.proxies = NextTo { client: origin.chained, backend: false };
    limits.backend_keep_alive = Some(Arc::clone(&state.keep_alive));
    let first = timeout_at(Instant::now() + limits.write_stall.get(), write_all(*client, &read)).await;
    match first {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Verdict::lost(conn, Side::Client, &error),
        Err(_) => return Verdict::of(conn, Cause::WriteStall),
    }
    let mut preface = Preface::default();
    preface.to_backend = ahead;
    let end = PollLoop.relay(*client, &stream, preface, &limits, *conn).await;
    if matches!(end, RelayEnd::Finished { .. }) {
        stream.finish();
    }
    Verdict::relayed(conn, &end)
}

impl<C: Stream, D: Dial> Handler for Requests<'_, C, D> {
    type Tunnel = Tunnel<MaybeTls<D::Stream>>;

    fn handle(&self, asked: Asked) -> impl Future<Output = Told<Self::Tunnel>> + Send {
        self.answer(asked)
    }

    fn leaves(&self) -> impl Future<Output = ()> + Send {
        self.proxy.force.ended()
    }
}

impl<C, D> Drop for Requests<'_, C, D> {
    /// What was this client's alone goes with it.
    fn drop(&mut self) {
        let worker = self.conn.worker().unwrap_or_default();
        for place in self.own.get_mut().drain() {
            self.proxy.upstreams.close(worker, &place);
        }
    }
}
