//! The header stage: who the connection is from.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Trail};
use proxy_core::header::{self, Command, Decoded, Endpoints, Header, HeaderLimits, Tlvs};
use proxy_core::{ClientAddr, ReadAhead, Stream};
use tokio::time::Instant;

use super::Accepted;
use super::client::fill;
use super::verdict::Verdict;
use crate::config::{AcceptProxy, Greeting};
use crate::proxy::{Listener, Proxy};

/// Who a connection is from and where it was going, as far as is known.
#[derive(Debug)]
pub(super) struct Origin {
    /// The client; None where a trusted peer says that it does not know.
    pub(super) client: Option<ClientAddr>,
    /// The address that the client connected to, where a header says so; else it is the accepted socket's own.
    pub(super) destination: Option<SocketAddr>,
    /// Its ids on the hops before.
    pub(super) previous: Trail,
    /// What else the header said.
    pub(super) tlvs: Tlvs,
    /// Whether it came with a header: another proxy is before this one.
    pub(super) chained: bool,
    /// Who it counts as where clients are limited; None where it is a trusted peer's own, or nobody knows whose.
    pub(super) counted: Option<IpAddr>,
    /// Whether its bytes must be watched for a header that it is not trusted to send.
    pub(super) screened: bool,
}

/// A connection whose header phase is over.
pub(super) struct Greeted<'p, S, D> {
    pub(super) client: &'p S,
    pub(super) ahead: ReadAhead,
    pub(super) origin: Origin,
    pub(super) at: &'p Listener,
    pub(super) proxy: &'p Proxy<D>,
}

/// Reads the PROXY header, where one is due from this peer.
pub(super) async fn greet<'p, S: Stream, D>(
    conn: &ConnGuard,
    accepted: Accepted<'p, S, D>,
) -> Result<Greeted<'p, S, D>, Verdict> {
    let Accepted { client, mut ahead, at, proxy } = accepted;
    let origin = if is_header_due(conn, at)? {
        let deadline = conn.opened() + proxy.config.deadlines.proxy_header_timeout.get();
        let limits = HeaderLimits { max_v2: proxy.config.proxy_protocol.max_header.bytes() };
        conn.deadline(deadline, DeadlineKind::Header);
        let reading = read_header(conn, client, &mut ahead, &limits);
        let header = within(deadline, reading).await.unwrap_or_else(|| {
            let timeout = proxy.config.deadlines.proxy_header_timeout;
            let detail =
                format!("no whole PROXY header from {} within proxy_header_timeout {timeout}", conn.peer());
            Err(Verdict::explained(conn, Cause::HeaderTimeout, detail))
        })?;
        told_by(conn, header)
    } else {
        Origin {
            client: Some(conn.peer().into()),
            destination: None,
            previous: Trail::default(),
            tlvs: Tlvs::default(),
            chained: false,
            counted: Some(conn.peer().ip()),
            screened: matches!(at.config.accept_proxy, AcceptProxy::Optional(_)),
        }
    };
    conn.learn(|facts| {
        facts.client = origin.client;
        facts.previous = origin.previous.clone();
    });
    Ok(Greeted { client, ahead, origin, at, proxy })
}

/// Whether this peer has to send a header; a verdict where it may not even connect.
fn is_header_due(conn: &ConnGuard, at: &Listener) -> Result<bool, Verdict> {
    let peer = conn.peer().ip();
    match at.config.accept_proxy.greeting(peer) {
        Greeting::Plain => Ok(false),
        Greeting::Header => Ok(true),
        Greeting::Refused => {
            let detail = format!("{peer} may not connect here: it is in no network of accept_proxy.required");
            Err(Verdict::explained(conn, Cause::HeaderUntrusted, detail))
        }
    }
}

/// Reads until the header is whole, and takes it off what was read.
async fn read_header<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    limits: &HeaderLimits,
) -> Result<Header, Verdict> {
    loop {
        match header::decode(ahead.bytes(), limits) {
            Ok(Some(Decoded { header, len })) => {
                ahead.consume(len);
                return Ok(header);
            }
            Ok(None) if ahead.ended() && ahead.total() == 0 => {
                return Err(Verdict::of(conn, Cause::ClientLeft));
            }
            Ok(None) if ahead.ended() => {
                let detail =
                    format!("{} closed after {} bytes of a PROXY header", conn.peer(), ahead.total());
                return Err(Verdict::explained(conn, Cause::HeaderMalformed, detail));
            }
            Ok(None) => fill(conn, client, ahead, limits.max_v2).await?,
            Err(error) => return Err(Verdict::explained(conn, Cause::HeaderMalformed, error.to_string())),
        }
    }
}

/// What `future` comes to, unless `deadline` comes first.
pub(super) async fn within<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(deadline, future).await.ok()
}

/// The type of the TLV by which one of our hops tells the next that the client is unknown, in a header that else reads as
/// the hop's own. One of those that are for private use (PROXY protocol, section 2.2).
pub(super) const UNKNOWN_CLIENT: u8 = 0xE5;

/// Who the connection is from, by what a trusted peer's header says.
fn told_by(conn: &ConnGuard, header: Header) -> Origin {
    let previous = header.tlvs.unique_id.as_deref().map_or_else(Trail::default, Trail::from_header);
    let (client, destination) = match (header.command, &header.endpoints) {
        // The peer, one of ours, speaks for somebody whose address no hop before it knew.
        (Command::Local, _) if header.tlvs.other.iter().any(|(kind, _)| *kind == UNKNOWN_CLIENT) => {
            (None, None)
        }
        // The peer speaks for itself (a health check): it is the client.
        (Command::Local, _) => (Some(conn.peer().into()), None),
        (Command::Proxy, Endpoints::Inet { source, destination }) => {
            (Some(ClientAddr::new(*source)), Some(*destination))
        }
        // The peer speaks for somebody whose address it does not know: nobody whom an allow list could name.
        (Command::Proxy, Endpoints::Unix { .. } | Endpoints::Unknown) => (None, None),
    };
    let counted = match header.command {
        Command::Local => None,
        Command::Proxy => client.map(ClientAddr::ip),
    };
    Origin { client, destination, previous, tlvs: header.tlvs, chained: true, counted, screened: false }
}

/// Enters a phase that has to end within `bound` of now.
pub(super) fn enter(
    conn: &ConnGuard,
    phase: Phase,
    bound: proxy_core::Bound,
    kind: DeadlineKind,
) -> Result<Instant, Verdict> {
    let deadline = Instant::now() + bound.get();
    conn.enter(phase, deadline, kind)?;
    Ok(deadline)
}
