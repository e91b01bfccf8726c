//! The dial stage: a backend, within one deadline, for as long as the client is there.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, Deadlines, Permit};
use proxy_core::dial::{Closed, DialError, DialErrorKind, reach};
use proxy_core::header::{Command, Endpoints, Outgoing, Tlvs, encode_v1, encode_v2};
use proxy_core::hello::ClientHello;
use proxy_core::{Dial, KeepAlive, ReadAhead, Side, Stream};

use super::admit::{Admitted, Permits};
use super::client::while_client_stays;
use super::header::{Origin, UNKNOWN_CLIENT};
use super::route::Routed;
use super::verdict::Verdict;
use crate::config::{RouteConfig, SendProxy};

/// A connection that has its backend. Dropped in this order: backend, permits.
pub(super) struct Dialled<B> {
    pub(super) backend: B,
    /// Its place among the target's connections.
    pub(super) at_target: Permit,
    pub(super) permits: Permits,
    pub(super) deadlines: Deadlines,
    /// The backend's keepalive.
    pub(super) keep_alive: Arc<KeepAlive>,
    /// The client's, where it is not what accepted sockets have anyway.
    pub(super) client_keep_alive: Option<Arc<KeepAlive>>,
    /// What the backend is sent before anything else: the PROXY header.
    pub(super) header: Vec<u8>,
    pub(super) ahead: ReadAhead,
    pub(super) screened: bool,
}

/// Dials the route's targets, and watches the client meanwhile: one that resets or closes without having sent anything
/// abandons the dial at once; one that sent its request and half-closed is served.
pub(super) async fn dial<S: Stream, D: Dial>(
    conn: &ConnGuard,
    admitted: Admitted<'_, S, D>,
) -> Result<Dialled<D::Stream>, Verdict> {
    let Admitted { permits, routed } = admitted;
    let Routed { client, mut ahead, origin, hello, route, state, deadlines, course, proxy, .. } = routed;
    let (targets, timeout) = (&course.addresses, deadlines.connection_timeout);
    conn.learn(|facts| facts.target = course.name(0));
    let dialling = pin!(reach(&proxy.dialer, &proxy.resolver, targets, &course, timeout));
    let early_data = proxy.config.limits.early_data.bytes();
    let outcome = while_client_stays(conn, client, &mut ahead, early_data, dialling).await?;
    let dialled = outcome.map_err(|error| failed(conn, &error))?;
    conn.hold(Side::Backend, dialled.stream.descriptor());
    if dialled.nth != 0 {
        conn.learn(|facts| facts.target = course.name(dialled.nth));
    }
    let header = announce(conn, &origin, hello.as_ref(), route, client)?;
    let keep_alive = Arc::clone(&state.keep_alive);
    let client_keep_alive = Some(&keep_alive).filter(|own| ***own != proxy.config.keep_alive).cloned();
    let screened = origin.screened;
    Ok(Dialled {
        backend: dialled.stream,
        at_target: dialled.pass,
        permits,
        deadlines,
        keep_alive,
        client_keep_alive,
        header,
        ahead,
        screened,
    })
}

fn failed(conn: &ConnGuard, error: &DialError) -> Verdict {
    let cause = match error.attempts.last().map(|last| &last.kind) {
        Some(DialErrorKind::Closed(Closed::Full(_))) if error.all_closed().is_some() => Cause::TargetLimit,
        Some(DialErrorKind::Closed(Closed::Draining)) if error.all_closed().is_some() => Cause::Draining,
        Some(DialErrorKind::Closed(_)) => Cause::TargetsDown,
        Some(DialErrorKind::Refused) => Cause::DialRefused,
        Some(DialErrorKind::Unreachable) => Cause::DialUnreachable,
        Some(DialErrorKind::TimedOut) => Cause::DialTimeout,
        Some(DialErrorKind::Reset) => Cause::DialReset,
        Some(DialErrorKind::Resolve(_)) => Cause::DialUnresolved,
        Some(DialErrorKind::Shortage(_)) => Cause::DialShortage,
        _ => Cause::DialFailed,
    };
    Verdict::explained(conn, cause, error.to_string())
}

/// The PROXY header for the backend, as the route wants it: the client, where it was going, and this connection's id
/// after those of the hops before.
fn announce<S: Stream>(
    conn: &ConnGuard,
    origin: &Origin,
    hello: Option<&ClientHello>,
    route: &RouteConfig,
    client: &S,
) -> Result<Vec<u8>, Verdict> {
    if route.send_proxy == SendProxy::Off {
        return Ok(Vec::new());
    }
    let destination = origin.destination.or_else(|| client.local_addr());
    let endpoints = match (origin.client, destination) {
        (Some(client), Some(destination)) => {
            let destination = SocketAddr::new(destination.ip().to_canonical(), destination.port());
            Endpoints::Inet { source: client.socket_addr(), destination }
        }
        (Some(_) | None, Some(_) | None) => Endpoints::Unknown,
    };
    match route.send_proxy {
        SendProxy::Off => Ok(Vec::new()),
        SendProxy::V1 => Ok(encode_v1(&endpoints)),
        SendProxy::V2 { crc32c, pass_unknown_tlvs } => {
            let tlvs = tell(conn, origin, hello, pass_unknown_tlvs);
            encode_v2(&Outgoing { command: Command::Proxy, endpoints, tlvs, crc32c }).map_err(|error| {
                Verdict::explained(conn, Cause::DialFailed, format!("cannot write a PROXY header: {error}"))
            })
        }
    }
}

/// What the header says beyond addresses. Nothing is made up: a name and a protocol are sent where the client (or the hop
/// before) gave them; of several protocols that the client offers, the one that it prefers.
fn tell(conn: &ConnGuard, origin: &Origin, hello: Option<&ClientHello>, pass_unknown: bool) -> Tlvs {
    let from_hop = &origin.tlvs;
    let name = hello.and_then(|hello| hello.server_name.as_deref()).map(|name| name.as_bytes().to_vec());
    let protocol = hello.and_then(|hello| hello.alpn.iter().find(|p| !is_grease(p))).map(|p| p.to_vec());
    let mut tlvs = Tlvs {
        authority: name.or_else(|| from_hop.authority.clone()),
        alpn: protocol.or_else(|| from_hop.alpn.clone()),
        unique_id: Some(origin.previous.then(conn.id()).as_str().as_bytes().to_vec()),
        ..Tlvs::default()
    };
    if pass_unknown {
        tlvs.ssl.clone_from(&from_hop.ssl);
        tlvs.netns.clone_from(&from_hop.netns);
        tlvs.other.clone_from(&from_hop.other);
        tlvs.other.retain(|(kind, _)| *kind != UNKNOWN_CLIENT);
    }
    if origin.client.is_none() {
        tlvs.other.push((UNKNOWN_CLIENT, Vec::new()));
    }
    tlvs
}

/// Whether a protocol is one of those that clients offer only to keep servers used to unknown ones (RFC 8701).
fn is_grease(protocol: &[u8]) -> bool {
    matches!(protocol, [a, b] if a == b && a & 0x0f == 0x0a)
}
