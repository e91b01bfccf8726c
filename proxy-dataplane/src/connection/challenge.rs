//! An authority asks for the proof that a name is served here: it is answered, and that is all. No route and no backend has a part in it,
//! so it works whatever the routes of the port are, also where they pass TLS through or take only some clients.
//!
//! ```text
//! peeked ─┬─ a hello that offers acme-tls/1 alone, of a name that is awaited ─► handshake, close_notify ─► gone (`challenge`)
//!         ├─ on the port of requests: GET /.well-known/acme-challenge/TOKEN ──► its answer ──────────────► gone (`challenge`)
//!         └─ anything else ─► routed
//! ```
//! They are connections like any other: tracked, limited, under the deadlines of the stages whose place this takes.

mod request;

use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Verdict};
use proxy_core::hello::ClientHello;
use proxy_core::stream::{Lent, finish, read};
use proxy_core::{Bound, ReadAhead, Stream};
use proxy_tls::rustls::ServerConfig;
use proxy_tls::{ACME_TLS, Failed};
use tokio::time::{Instant, timeout_at};

use super::deadline::{enter, within};
use super::passage::Passage;
use crate::generation::Wait;
use crate::settings::Answering;

/// How long an authority may take to end, after a handshake that has told it all: it is not waited for any longer.
const LEAVE: Bound = Bound::secs(2);

/// Whether a connection on this port may be a challenge, as far as is known before anything of it was read.
pub(super) fn may_be_asked(answering: Option<&Answering>, port: u16) -> bool {
    answering.is_some_and(|answering| answering.may_be_asked(port))
}

/// Answers what is a challenge: then the verdict. What is none goes on.
pub(super) async fn answer<S: Stream, D>(
    conn: &ConnGuard,
    passage: &mut Passage<'_, S, D>,
    wait: &mut Wait<'_>,
) -> Result<(), Verdict> {
    let Some(answering) = &passage.proxy.settings.answering else { return Ok(()) };
    if let Some((name, config)) = pending(answering, passage.hello.as_ref()) {
        let timeout = passage.proxy.settings.deadlines.tls_handshake_timeout;
        let deadline = enter(conn, Phase::Tls, timeout, DeadlineKind::Tls)?;
        let ahead = std::mem::take(&mut passage.ahead);
        let shaking = by_handshake(conn, &name, config, passage.client, ahead);
        return Err(within(deadline, passage.client, shaking).await.unwrap_or_else(|| {
            let detail = format!("no handshake for a challenge within tls_handshake_timeout {timeout}");
            Verdict::explained(conn, Cause::TlsTimeout, detail)
        }));
    }
    if answering.may_be_asked(passage.at.config.port) && passage.hello.is_none() {
        return request::answer(conn, answering, passage, wait).await;
    }
    Ok(())
}

/// The name that a handshake is to prove, and with what, where one is pending.
pub(super) fn pending(
    answering: &Answering,
    hello: Option<&ClientHello>,
) -> Option<(Box<str>, Arc<ServerConfig>)> {
    let hello = hello?;
    let mut offered = hello.alpn.iter();
    if offered.next() != Some(ACME_TLS) || offered.next().is_some() {
        return None;
    }
    let name = hello.server_name.as_ref()?;
    let config = answering.challenges.certificate(name)?;
    Some((name.clone(), config))
}

/// The handshake is the answer. Whoever asks says `close_notify` then, and no word more.
pub(super) async fn by_handshake<S: Stream>(
    conn: &ConnGuard,
    name: &str,
    config: Arc<ServerConfig>,
    client: &S,
    ahead: ReadAhead,
) -> Verdict {
    let shaken = proxy_tls::accept(Lent(client), config, ahead.into_bytes()).await;
    let stream = match shaken {
        Ok(stream) => stream,
        Err(Failed { error, .. }) => {
            let detail = format!("{}: {error} (a challenge for {name})", error.fault());
            return Verdict::explained(conn, Cause::TlsFailed, detail).in_order();
        }
    };
    let deadline = Instant::now() + LEAVE.get();
    conn.deadline(deadline, DeadlineKind::Leave);
    let leaving = async {
        // Its end, or whatever it says in place of one.
        read(&stream, &mut [0; 64]).await.unwrap_or_default();
        finish(stream).await.unwrap_or_default();
    };
    timeout_at(deadline, leaving).await.unwrap_or_default();
    Verdict::explained(conn, Cause::Challenge, format!("tls-alpn-01 for {name}")).in_order()
}
