//! What the next hop is told of the client: the PROXY header that goes out in front of its bytes.

use std::net::SocketAddr;

use proxy_conn::{Cause, ConnGuard};
use proxy_core::Stream;
use proxy_core::header::{Command, Endpoints, Outgoing, Tlvs, encode_v1, encode_v2};
use proxy_core::hello::ClientHello;

use super::header::{Origin, UNKNOWN_CLIENT};
use super::verdict::Verdict;
use crate::config::{RouteConfig, SendProxy};

/// The PROXY header for the backend, as the route wants it: the client, where it was going, and this connection's id
/// after those of the hops before.
pub(super) fn announce<S: Stream>(
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
