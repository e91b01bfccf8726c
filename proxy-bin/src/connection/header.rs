//! The header stage: who the connection is from.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::Poll;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Trail};
use proxy_core::header::{self, Command, Decoded, Endpoints, Header, HeaderLimits, Prefix, Tlvs};
use proxy_core::{ClientAddr, ReadAhead, Stream};
use tokio::time::Instant;

use super::Accepted;
use super::client::fill;
use super::verdict::Verdict;
use crate::config::{AcceptProxy, Greeting};
use crate::proxy::{Listener, Proxy, Wait};

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

impl Origin {
    /// How many proxies it came through, as far as is known: a header without ids tells of the one that sent it.
    pub(super) fn proxies(&self) -> usize {
        if self.chained { self.previous.ids().count().max(1) } else { 0 }
    }
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
    wait: &mut Wait<'_>,
) -> Result<Greeted<'p, S, D>, Verdict> {
    let Accepted { client, mut ahead, at, proxy } = accepted;
    let header = match due(conn, at)? {
        Greeting::Header => Some(in_time(conn, client, &mut ahead, proxy, wait).await?),
        Greeting::Either => one_or_none(conn, client, &mut ahead, proxy, wait).await?,
        Greeting::Plain | Greeting::Refused => None,
    };
    let origin = match header {
        Some(header) => told_by(conn, header),
        None => itself(conn, at),
    };
    conn.learn(|facts| {
        facts.client = origin.client;
        facts.previous = origin.previous.clone();
    });
    Ok(Greeted { client, ahead, origin, at, proxy })
}

/// What this peer has to do; a verdict where it may not even connect.
fn due(conn: &ConnGuard, at: &Listener) -> Result<Greeting, Verdict> {
    let peer = conn.peer().ip();
    match at.config.accept_proxy.greeting(peer) {
        Greeting::Refused => {
            let detail = format!("{peer} may not connect here: it is in no network of accept_proxy.required");
            Err(Verdict::explained(conn, Cause::HeaderUntrusted, detail))
        }
        greeting @ (Greeting::Header | Greeting::Either | Greeting::Plain) => Ok(greeting),
    }
}

/// The header of a peer that has to send one.
async fn in_time<S: Stream, D>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    proxy: &Proxy<D>,
    wait: &mut Wait<'_>,
) -> Result<Header, Verdict> {
    let timeout = proxy.config.deadlines.proxy_header_timeout;
    let deadline = conn.opened() + timeout.get();
    let limits = HeaderLimits { max_v2: proxy.config.proxy_protocol.max_header.bytes() };
    conn.deadline(deadline, DeadlineKind::Header);
    let reading = read_header(conn, client, ahead, &limits, wait);
    within(deadline, client, reading).await.unwrap_or_else(|| {
        let detail =
            format!("no whole PROXY header from {} within proxy_header_timeout {timeout}", conn.peer());
        Err(Verdict::explained(conn, Cause::HeaderTimeout, detail))
    })
}

/// The header of a peer that may send one: none if its first bytes are something else, or it has said nothing by the time
/// in which a header is due. A header that comes later is not one any more.
async fn one_or_none<S: Stream, D>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    proxy: &Proxy<D>,
    wait: &mut Wait<'_>,
) -> Result<Option<Header>, Verdict> {
    let deadline = conn.opened() + proxy.config.deadlines.proxy_header_timeout.get();
    conn.deadline(deadline, DeadlineKind::Header);
    let beginning = begins_with_header(conn, client, ahead, wait);
    if within(deadline, client, beginning).await.unwrap_or(Ok(false))? {
        in_time(conn, client, ahead, proxy, wait).await.map(Some)
    } else {
        Ok(None)
    }
}

/// Reads until it is clear whether what comes is a header. Cancel-safe: what was read stays read ahead.
async fn begins_with_header<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    wait: &mut Wait<'_>,
) -> Result<bool, Verdict> {
    loop {
        match header::could_be_header(ahead.bytes()) {
            Prefix::Yes => return Ok(true),
            Prefix::No => return Ok(false),
            Prefix::Partial if ahead.ended() && ahead.total() == 0 => {
                return Err(Verdict::of(conn, Cause::ClientLeft));
            }
            Prefix::Partial if ahead.ended() => return Ok(false),
            Prefix::Partial => hear(conn, client, ahead, LONGEST_GUESS, wait).await?,
        }
    }
}

/// How much is read of a peer at once that may or may not send a header: more than any usual header.
const LONGEST_GUESS: usize = 1024;

/// Reads once. A peer that resets before it has said anything has left, as plain health checks do.
async fn hear<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    limit: usize,
    wait: &mut Wait<'_>,
) -> Result<(), Verdict> {
    let silent = ahead.total() == 0;
    fill(conn, client, ahead, limit, wait).await.map_err(|verdict| {
        let left = silent && verdict.end.cause == Cause::ClientReset;
        if left { Verdict::of(conn, Cause::ClientLeft) } else { verdict }
    })
}

/// Reads until the header is whole, and takes it off what was read.
async fn read_header<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    limits: &HeaderLimits,
    wait: &mut Wait<'_>,
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
            Ok(None) => hear(conn, client, ahead, limits.max_v2, wait).await?,
            Err(error) => return Err(Verdict::explained(conn, Cause::HeaderMalformed, error.to_string())),
        }
    }
}

/// What `future`, which reads from `client`, comes to, unless `deadline` comes first. When it has, the client is looked at once
/// more: where this worker is late, what came in time may be waiting, and nobody has told of it yet.
pub(super) async fn within<S: Stream, F: Future>(
    deadline: Instant,
    client: &S,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    if let Ok(output) = tokio::time::timeout_at(deadline, future.as_mut()).await {
        return Some(output);
    }
    client.look();
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The TLV by which one of our hops tells the next that the client is unknown, in a header that else reads as the hop's
/// own: one of the types that are for private use (PROXY protocol, section 2.2), and a value that tells it from anybody
/// else's use of it.
pub(super) const UNKNOWN_CLIENT: (u8, &[u8]) = (0xE5, b"unknown client");

/// Whether a field of a LOCAL header is that. Earlier versions of ours sent no value.
fn says_unknown((kind, value): &(u8, Vec<u8>)) -> bool {
    *kind == UNKNOWN_CLIENT.0 && (value == UNKNOWN_CLIENT.1 || value.is_empty())
}

/// Who the connection is from where it comes without a header: from its peer.
fn itself(conn: &ConnGuard, at: &Listener) -> Origin {
    Origin {
        client: Some(conn.peer().into()),
        destination: None,
        previous: Trail::default(),
        tlvs: Tlvs::default(),
        chained: false,
        counted: Some(conn.peer().ip()),
        screened: at.config.accept_proxy != AcceptProxy::Off,
    }
}

/// Who the connection is from, by what a trusted peer's header says.
fn told_by(conn: &ConnGuard, mut header: Header) -> Origin {
    let previous = header.tlvs.unique_id.as_deref().map_or_else(Trail::default, Trail::from_header);
    let told = header.tlvs.other.len();
    if header.command == Command::Local {
        // Said to this hop, so it does not go on; anybody else's field of this type does.
        header.tlvs.other.retain(|field| !says_unknown(field));
    }
    let unknown = header.tlvs.other.len() < told;
    let (client, destination) = match (header.command, &header.endpoints) {
        // The peer, one of ours, speaks for somebody whose address no hop before it knew.
        (Command::Local, _) if unknown => (None, None),
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
