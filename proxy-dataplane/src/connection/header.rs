//! The header stage: who the connection is from.

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Verdict};
use proxy_core::header::{self, Header, HeaderLimits, Prefix};
use proxy_core::{ReadAhead, Stream};
use tokio::time::Instant;

use super::asked;
use super::client::fill;
use super::deadline::within;
use super::origin::Origin;
use super::passage::Passage;
use crate::generation::{Generation, Listener, Wait};
use crate::settings::Greeting;

/// Its header phase is over: who it is from is known.
pub(super) struct Greeted(());

/// Reads the PROXY header, where one is due from this peer.
pub(super) async fn greet<S: Stream, D>(
    conn: &ConnGuard,
    passage: &mut Passage<'_, S, D>,
    wait: &mut Wait<'_>,
) -> Result<Greeted, Verdict> {
    let Passage { client, ahead, origin, at, proxy, .. } = passage;
    let header = match due(conn, at)? {
        Greeting::Header => Some(in_time(conn, *client, ahead, (at, proxy), wait).await?),
        Greeting::Either => one_or_none(conn, *client, ahead, (at, proxy), wait).await?,
        Greeting::Plain | Greeting::Refused => None,
    };
    if let Some(header) = header {
        if asked::is_question(&header) {
            return Err(asked::answer(conn, *client, at, proxy, &header).await);
        }
        *origin = Origin::told_by(conn, header);
    }
    let told = origin.tls_in_words();
    conn.learn(|facts| {
        facts.client = origin.client;
        facts.previous = origin.previous.clone();
        if told.is_some() {
            facts.tls.get_or_insert_default().before = told;
        }
    });
    Ok(Greeted(()))
}

/// What this peer has to do; a verdict where it may not even connect.
fn due(conn: &ConnGuard, at: &Listener) -> Result<Greeting, Verdict> {
    let peer = conn.peer().ip();
    match at.config.greeting(peer) {
        Greeting::Refused => {
            let detail = format!("{peer} may not connect here: it is in no network of accept_proxy.required");
            Err(Verdict::explained(conn, Cause::HeaderUntrusted, detail))
        }
        greeting @ (Greeting::Header | Greeting::Either | Greeting::Plain) => Ok(greeting),
    }
}

/// By when a header is due: counted from accept, and after the time for its TLS from a hop.
fn due_by<D>(conn: &ConnGuard, at: &Listener, proxy: &Generation<D>) -> Instant {
    let deadlines = &proxy.settings.deadlines;
    let tls = at.config.hop.is_some().then(|| deadlines.tls_handshake_timeout.get());
    conn.opened() + tls.unwrap_or_default() + deadlines.proxy_header_timeout.get()
}

/// The header of a peer that has to send one.
async fn in_time<S: Stream, D>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    (at, proxy): (&Listener, &Generation<D>),
    wait: &mut Wait<'_>,
) -> Result<Header, Verdict> {
    let timeout = proxy.settings.deadlines.proxy_header_timeout;
    let deadline = due_by(conn, at, proxy);
    let limits = HeaderLimits::default().max_v2(proxy.settings.max_header);
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
    (at, proxy): (&Listener, &Generation<D>),
    wait: &mut Wait<'_>,
) -> Result<Option<Header>, Verdict> {
    let deadline = due_by(conn, at, proxy);
    conn.deadline(deadline, DeadlineKind::Header);
    let beginning = begins_with_header(conn, client, ahead, wait);
    if within(deadline, client, beginning).await.unwrap_or(Ok(false))? {
        in_time(conn, client, ahead, (at, proxy), wait).await.map(Some)
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
        if let Some(header) = header::take(ahead, limits).map_err(|error| Verdict::unread(conn, &error))? {
            return Ok(header);
        }
        hear(conn, client, ahead, limits.max_v2, wait).await?;
    }
}
