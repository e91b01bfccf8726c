//! The route stage: which route takes the connection.

use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard};
use proxy_core::hello::ClientHello;
use proxy_core::{ReadAhead, Stream, TargetAddr};
use proxy_route::Query;

use super::header::Origin;
use super::peek::Peeked;
use super::verdict::Verdict;
use crate::config::{Action, RouteConfig};
use crate::proxy::Proxy;

/// A connection whose way is known.
pub(super) struct Routed<'p, S, D> {
    pub(super) client: S,
    pub(super) ahead: ReadAhead,
    pub(super) origin: Origin,
    pub(super) hello: Option<ClientHello>,
    pub(super) route: &'p RouteConfig,
    /// In the order in which they are to be tried.
    pub(super) targets: Vec<TargetAddr>,
    pub(super) proxy: &'p Proxy<D>,
}

/// Looks the connection up in the table.
pub(super) fn route<'p, S: Stream, D>(
    conn: &ConnGuard,
    peeked: Peeked<'p, S, D>,
) -> Result<Routed<'p, S, D>, Verdict> {
    let Peeked { client, ahead, origin, hello, at, proxy } = peeked;
    let query = Query {
        port: at.port,
        server_name: hello.as_ref().and_then(|hello| hello.server_name.as_deref()),
        client: origin.client.map(proxy_core::ClientAddr::ip),
        alpn: hello.as_ref().map_or(&[][..], |hello| &hello.alpn),
    };
    let Some(matched) = proxy.config.routes.lookup(&query) else {
        let name = query.server_name.unwrap_or("no name");
        let detail = format!("no route of port {} takes this client and server name ({name})", at.port);
        return Err(Verdict::explained(conn, Cause::NoRoute, detail));
    };
    let route: &RouteConfig = matched.payload;
    conn.learn(|facts| facts.route = Some(Arc::clone(&route.name)));
    let targets = match &route.action {
        Action::Refuse => return Err(Verdict::of(conn, Cause::RouteRefused)),
        forward @ Action::Forward { .. } => forward.addresses(at.port),
    };
    Ok(Routed { client, ahead, origin, hello, route, targets, proxy })
}
