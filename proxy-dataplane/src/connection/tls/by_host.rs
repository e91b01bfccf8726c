//! Plain HTTP where the port's routes go by names, which no ClientHello tells: the route of the request's `Host` says how it is answered.
//!
//! ```text
//! peeked, no hello ─┬─ a route takes whoever names nobody ────► routed, as ever
//!                   └─ "GET … Host: NAME" ─┬─ NAME's TLS ends here ─► answered as that route has it
//!                                          └─ else ─────────────────► no route
//! ```

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Verdict};
use proxy_core::{ClientAddr, ReadAhead, Side, Stream};
use proxy_route::Query;
use proxy_tls::HandshakeFault;
use tokio::time::Instant;

use super::super::client::fill;
use super::super::deadline::{enter, within};
use super::super::passage::Passage;
use super::plain_http::{LONGEST_HEAD, answered, host_name, is_whole, may_begin};
use crate::generation::Wait;
use crate::settings::{PlainHttp, RouteConfig};

/// Whether it may be a request that only its `Host` could have a route by.
pub(in super::super) fn may_be_request<S, D>(passage: &Passage<'_, S, D>) -> bool {
    let come = passage.ahead.bytes();
    passage.hello.is_none()
        && !come.is_empty()
        && may_begin(come)
        && passage.proxy.settings.routes.needs_hello(passage.at.config.port)
        && route(passage, None).is_none()
}

/// Answers a request whose host has a route that ends TLS: then the verdict. Anything else goes on.
pub(in super::super) async fn answer<S: Stream, D>(
    conn: &ConnGuard,
    passage: &mut Passage<'_, S, D>,
    wait: &mut Wait<'_>,
) -> Result<(), Verdict> {
    let deadlines = &passage.proxy.settings.deadlines;
    let (first, second) = (deadlines.initial_data_timeout, deadlines.tls_handshake_timeout);
    let client = passage.client;
    let deadline = Instant::now() + first.get();
    conn.deadline(deadline, DeadlineKind::Hello);
    let reading = read_head(conn, client, &mut passage.ahead, wait);
    within(deadline, client, reading).await.unwrap_or_else(|| {
        let detail = format!("no whole request within initial_data_timeout {first}");
        Err(Verdict::explained(conn, Cause::HelloTimeout, detail))
    })?;
    let Some(how) = how(passage) else { return Ok(()) };
    let deadline = enter(conn, Phase::Tls, second, DeadlineKind::Tls)?;
    passage.proxy.handshakes.failed(Side::Client, HandshakeFault::PlainHttp);
    let answering = answered(conn, how, client, &mut passage.ahead);
    Err(within(deadline, client, answering).await.unwrap_or_else(|| {
        let detail = format!("no answer to plain HTTP was taken within tls_handshake_timeout {second}");
        Verdict::explained(conn, Cause::TlsTimeout, detail)
    }))
}

/// Reads on while it may be the head of a request.
async fn read_head<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    wait: &mut Wait<'_>,
) -> Result<(), Verdict> {
    while may_begin(ahead.bytes()) && !is_whole(ahead.bytes()) && !ahead.ended() {
        let room = LONGEST_HEAD.saturating_sub(ahead.bytes().len());
        if room == 0 {
            break;
        }
        fill(conn, client, ahead, room, wait).await?;
    }
    Ok(())
}

/// How the route of the request's host answers it.
fn how<S, D>(passage: &Passage<'_, S, D>) -> Option<PlainHttp> {
    let route = route(passage, Some(host_name(passage.ahead.bytes())?))?;
    route.tls.terminate.as_ref().map(|terminate| terminate.plain_http)
}

fn route<'p, S, D>(passage: &Passage<'p, S, D>, server_name: Option<&str>) -> Option<&'p RouteConfig> {
    let none: [&[u8]; 0] = [];
    let client = passage.origin.client.map(ClientAddr::ip);
    let query = Query { port: passage.at.config.port, server_name, client, alpn: &none };
    passage.proxy.settings.routes.lookup(&query).map(|found| found.payload)
}
