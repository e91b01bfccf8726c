//! What the next hop is told of the client: the PROXY header that goes out in front of its bytes.

mod fit;

use std::net::SocketAddr;

use proxy_conn::{Cause, ConnGuard, Trail, Verdict};
use proxy_core::dial::Dialled;
use proxy_core::header::{Endpoints, Outgoing, Tlvs, encode_v1, encode_v2};
use proxy_core::hello::ClientHello;
use proxy_core::{Endpoint, Stream};
use tracing::warn;

use super::origin::{Origin, UNKNOWN_CLIENT};
use crate::omissions::{Omission, Omissions};
use crate::settings::{HeaderContent, HeaderField, NextHop, RouteConfig, SendProxy, UniqueId, UnknownClient};

/// The longest name that is told: no host's is longer (RFC 1035, section 2.3.4), and HAProxy closes on one that is.
pub(super) const LONGEST_NAME: usize = 255;

/// What there is to tell, and how the route wants it told.
pub(super) struct Known<'a> {
    pub(super) origin: &'a Origin,
    pub(super) hello: Option<&'a ClientHello>,
    pub(super) route: &'a RouteConfig,
    /// Where it is counted what a header had no room for.
    pub(super) omissions: Option<&'a Omissions>,
}

/// The PROXY header for the backend that was `reached`: the client, where it was going, and what the route wants said
/// beyond that. Empty where the route sends none.
pub(super) fn announce<S: Stream, B: Stream, P>(
    conn: &ConnGuard,
    known: &Known<'_>,
    client: &S,
    reached: &Dialled<B, P>,
) -> Result<Vec<u8>, Verdict> {
    match &known.route.send_proxy {
        SendProxy::Off => Ok(Vec::new()),
        SendProxy::V1 { unknown_client } => {
            let endpoints = match (known.origin.endpoints(client), unknown_client) {
                (Endpoints::Unknown, UnknownClient::OwnAddress) => own(client, reached),
                (endpoints, UnknownClient::OwnAddress | UnknownClient::Unknown) => endpoints,
            };
            Ok(encode_v1(&endpoints))
        }
        SendProxy::V2(content) => binary(conn, known, content, known.origin.endpoints(client)),
    }
}

impl Origin {
    /// The two ends of the client's connection, where both are known.
    fn endpoints<S: Stream>(&self, accepted: &S) -> Endpoints {
        let destination = || self.destination.or_else(|| accepted.local_addr());
        match self.client.and_then(|client| Some((client, destination()?))) {
            Some((client, destination)) => {
                let destination = SocketAddr::new(destination.ip().to_canonical(), destination.port());
                Endpoints::Inet { source: client.socket_addr(), destination }
            }
            None => Endpoints::Unknown,
        }
    }
}

/// Our own connection to the backend, for a receiver that takes no unknown client: the address it would see without a
/// header. A Unix socket has none; there it is the address at which we were reached.
fn own<S: Stream, B: Stream, P>(client: &S, reached: &Dialled<B, P>) -> Endpoints {
    let at_backend = match &reached.endpoint {
        Endpoint::Ip(backend) => reached.stream.local_addr().map(|own| (own, *backend)),
        Endpoint::Unix(_) => None,
    };
    let ends = at_backend.or_else(|| client.local_addr().map(|own| (own, own)));
    ends.map_or(Endpoints::Unknown, |(source, destination)| Endpoints::Inet { source, destination })
}

/// A header of version 2. On behalf of a client that nobody knows it is LOCAL, bare as everybody's unless the next hop is
/// one of ours, which is told whose connection it is not.
fn binary(
    conn: &ConnGuard,
    known: &Known<'_>,
    content: &HeaderContent,
    endpoints: Endpoints,
) -> Result<Vec<u8>, Verdict> {
    let mut header = Outgoing { crc32c: content.crc32c, ..Outgoing::local() };
    let mut omitted = fit::Omitted::default();
    match (&endpoints, content.next_hop) {
        (Endpoints::Unknown, NextHop::Other) => {}
        (Endpoints::Unknown, NextHop::Smartproxy) => {
            header.tlvs = told(conn, known, content, &mut omitted);
            let (kind, value) = UNKNOWN_CLIENT;
            header.tlvs.other.insert(0, (kind, value.to_vec()));
        }
        (Endpoints::Inet { .. } | Endpoints::Unix { .. }, _) => {
            header.command = proxy_core::header::Command::Proxy;
            header.endpoints = endpoints;
            header.tlvs = told(conn, known, content, &mut omitted);
        }
    }
    fit::fit(&mut header, content, &mut omitted);
    if let Some(omissions) = known.omissions.filter(|_| !omitted.is_empty()) {
        note(omissions, &omitted, &known.route.name, content.max_header);
    }
    encode_v2(&header).map_err(|error| {
        Verdict::explained(conn, Cause::DialFailed, format!("cannot write a PROXY header: {error}"))
    })
}

/// What the header says beyond addresses. Nothing is made up: a name and a protocol are sent where the client (or the hop
/// before) gave them. The protocol is the one that was agreed upon where the client's TLS ends here; where it passes through, the one
/// that the client prefers of those that it offers.
fn told(conn: &ConnGuard, known: &Known<'_>, content: &HeaderContent, omitted: &mut fit::Omitted) -> Tlvs {
    let (hello, origin) = (known.hello, &known.origin.tlvs);
    let mut tlvs = Tlvs::default();
    if content.fields.has(HeaderField::UniqueId) {
        tlvs.unique_id = Some(id(conn, known.origin, content.unique_id, omitted));
    }
    if content.fields.has(HeaderField::Authority) {
        let name = hello.and_then(|hello| hello.server_name.as_deref()).map(|name| name.as_bytes().to_vec());
        tlvs.authority = name.or_else(|| origin.authority.clone());
        if tlvs.authority.take_if(|name| name.len() > LONGEST_NAME).is_some() {
            omitted.add(Omission::Authority);
        }
    }
    if content.fields.has(HeaderField::Alpn) {
        let passed = hello.filter(|_| known.route.tls.terminate.is_none());
        let offered = passed.and_then(|hello| hello.alpn.iter().find(|p| !is_grease(p))).map(<[u8]>::to_vec);
        tlvs.alpn = offered.or_else(|| origin.alpn.clone());
    }
    // Of a hop before it is one of the fields that are passed on; of TLS that ends here it is not.
    if content.fields.has(HeaderField::Ssl)
        || (content.pass_unknown_tlvs && known.route.tls.terminate.is_none())
    {
        tlvs.ssl.clone_from(&origin.ssl);
    }
    if content.pass_unknown_tlvs {
        tlvs.netns.clone_from(&origin.netns);
        tlvs.other.clone_from(&origin.other);
    }
    tlvs
}

/// The id that the header holds.
fn id(conn: &ConnGuard, origin: &Origin, which: UniqueId, omitted: &mut fit::Omitted) -> Vec<u8> {
    let received = origin.tlvs.unique_id.as_deref().filter(|id| !id.is_empty());
    let trail = match (which, received) {
        (UniqueId::Received, Some(received)) => return received.to_vec(),
        (UniqueId::Trail, Some(_)) => origin.previous.then(conn.id()),
        (UniqueId::Trail | UniqueId::Received | UniqueId::Own, _) => Trail::default().then(conn.id()),
    };
    if which == UniqueId::Trail && trail.ids().count() <= origin.previous.ids().count() {
        omitted.add(Omission::OlderIds);
    }
    trail.as_str().as_bytes().to_vec()
}

/// Counts what was left out of a header, and tells it once.
fn note(omissions: &Omissions, omitted: &fit::Omitted, route: &str, max: usize) {
    if omissions.count(omitted.all()) {
        let names: Vec<_> = omitted.all().map(Omission::name).collect();
        warn!(
            "route {route}: a PROXY header went without {}, since max_header is {max}B and a name at most 255 bytes. So will \
             others, which are counted and not told. Raise max_header as far as the receiver takes it, or send less",
            names.join(", ")
        );
    }
}

/// Whether a protocol is one of those that clients offer only to keep servers used to unknown ones (RFC 8701).
pub(super) fn is_grease(protocol: &[u8]) -> bool {
    matches!(protocol, [a, b] if a == b && a & 0x0f == 0x0a)
}
