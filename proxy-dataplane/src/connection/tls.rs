//! The tls stage, where a route ends a client's TLS or speaks TLS to its backends: the same stages as without, over streams that
//! have it.
//!
//! ```text
//! routed ─► handshake with the client ─► admit ─► dial ─► [PROXY header] ─► handshake with the backend ─► relay
//!           phase tls                            within connection_timeout, while the client stays
//! ```
//! Nothing is dialled before the client's handshake is done: a client that cannot finish one costs no backend anything.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Permit, Phase, Verdict};
use proxy_core::hello::{ClientHello, HelloReader, Progress};
use proxy_core::stream::{Lent, write_all};
use proxy_core::{Dial, Endpoint, ReadAhead, Side, Stream};
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::{Failed, HandshakeError, MaybeTls, TlsStream, accept};
use tokio::time::Instant;

use super::admit;
use super::client::while_client_stays;
use super::deadline::{enter, within};
use super::dial::{self, Dialled, With};
use super::passage::Passage;
use super::relay::{self, Established, Preamble};
use super::route::Routed;
use crate::settings::{Reencrypt, Terminate, Truncated};

/// A connection that has both its sides, of which one at least has TLS.
pub(super) struct Secured<'p, S, B> {
    client: MaybeTls<Lent<'p, S>>,
    established: Established<MaybeTls<B>>,
    preamble: Preamble,
}

/// The stages from the route on.
pub(super) async fn secure<'c, S: Stream, D: Dial>(
    conn: &ConnGuard,
    accepted: &'c S,
    process: Permit,
    mut routed: Routed<'_, S, D>,
) -> Result<Secured<'c, S, D::Stream>, Verdict> {
    let (route, deadlines) = (routed.route, routed.deadlines);
    let (early_data, ahead) =
        (routed.passage.proxy.settings.early_data, std::mem::take(&mut routed.passage.ahead));
    let (client, ahead) = match &route.tls.terminate {
        Some(terminate) => {
            let timeout = deadlines.tls_handshake_timeout;
            let deadline = enter(conn, Phase::Tls, timeout, DeadlineKind::Tls)?;
            let shaken = Box::pin(terminated(conn, terminate, accepted, &mut routed.passage, ahead));
            let shaken = within(deadline, accepted, shaken).await.unwrap_or_else(|| {
                let detail = format!("no TLS handshake within tls_handshake_timeout {timeout}");
                Err(Verdict::explained(conn, Cause::TlsTimeout, detail))
            })?;
            (MaybeTls::Tls(shaken), ReadAhead::default())
        }
        None => (MaybeTls::Plain(Lent(accepted)), ahead),
    };
    let name = routed.passage.hello.as_ref().and_then(|hello| hello.server_name.clone());
    let admitted = Box::pin(admit::admit(conn, process, routed.over(&client, ahead))).await?;
    // As the dial's, which begins when there is a place.
    let deadline = Instant::now() + deadlines.connection_timeout.get();
    let Dialled { backend, mut with } = Box::pin(dial::dial(conn, admitted)).await?;
    let backend = match &route.tls.reencrypt {
        Some(reencrypt) => {
            let mut ahead = std::mem::take(&mut with.ahead);
            let name = name.as_deref();
            let shaken = {
                let shaking = pin!(reencrypted(conn, reencrypt, name, backend, &mut with, deadline));
                Box::pin(while_client_stays(conn, &client, &mut ahead, early_data, shaking)).await?
            };
            with.ahead = ahead;
            MaybeTls::Tls(shaken?)
        }
        None => MaybeTls::Plain(backend),
    };
    let (established, preamble) = relay::begin(conn, Dialled { backend, with })?;
    Ok(Secured { client, established, preamble })
}

impl<S: Stream, B: Stream> Secured<'_, S, B> {
    /// Relays until the connection ends, and closes it.
    pub(super) async fn serve<E: proxy_core::relay::Engine>(self, engine: E, conn: &ConnGuard) -> Verdict {
        let Self { client, established, preamble } = self;
        let end = established.relay(engine, conn, &client, preamble).await;
        let verdict = established.close(conn, &end);
        let truncated = matches!(&client, MaybeTls::Tls(stream) if stream.was_truncated());
        if truncated && verdict.end.cause == Cause::Finished {
            return Verdict { end: Cause::ClientTruncated.during(conn.phase()), ..verdict };
        }
        verdict
    }
}

/// The handshake with the client, of which the front was read already.
async fn terminated<'c, S: Stream, D>(
    conn: &ConnGuard,
    terminate: &Terminate,
    accepted: &'c S,
    passage: &mut Passage<'_, S, D>,
    mut ahead: ReadAhead,
) -> Result<TlsStream<Lent<'c, S>>, Verdict> {
    if passage.hello.is_none() {
        passage.hello = read_hello(accepted, &mut ahead, passage.proxy.settings.max_client_hello).await;
        let name = passage.hello.as_ref().and_then(|hello| hello.server_name.clone());
        conn.learn(|facts| facts.server_name = name);
    }
    let shaken = accept(Lent(accepted), Arc::clone(&terminate.config), ahead.into_bytes()).await;
    let mut stream = shaken.map_err(|Failed { error, .. }| refused(conn, &error, passage.hello.as_ref()))?;
    if terminate.truncated == Truncated::End {
        stream.takes_truncated_for_ended();
    }
    Ok(stream)
}

/// The client's hello, where no route of the port had to know it. None where there is none that could be read: then the handshake
/// says why.
async fn read_hello<S: Stream>(client: &S, ahead: &mut ReadAhead, most: usize) -> Option<ClientHello> {
    let mut reader = HelloReader::new(most);
    loop {
        match reader.look(ahead.bytes()) {
            Progress::Hello(hello) => return Some(hello),
            Progress::NotTls(_) | Progress::Unreadable(_) => return None,
            Progress::More => {
                let room = most.saturating_sub(ahead.bytes().len());
                if room == 0 || !matches!(ahead.fill(client, room).await, Ok(1..)) {
                    return None;
                }
            }
        }
    }
}

/// Why the client's handshake failed. It was sent an alert, which a reset would make it forget.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an error may grow; what it grows by is told in its own words"
)]
fn refused(conn: &ConnGuard, error: &HandshakeError, hello: Option<&ClientHello>) -> Verdict {
    match error {
        HandshakeError::Io(error) => Verdict::lost(conn, Side::Client, error),
        HandshakeError::Left => {
            Verdict::explained(conn, Cause::ClientLeft, "it ended before its TLS handshake was done")
        }
        error => {
            let name = hello.and_then(|hello| hello.server_name.as_deref()).unwrap_or("none");
            let detail = format!("{}: {error} (server name {name})", error.fault());
            Verdict::explained(conn, Cause::TlsFailed, detail).in_order()
        }
    }
}

/// The handshake with the backend, after the PROXY header, which goes before it.
async fn reencrypted<B: Stream>(
    conn: &ConnGuard,
    reencrypt: &Reencrypt,
    client_asked_for: Option<&str>,
    backend: B,
    with: &mut With,
    deadline: Instant,
) -> Result<TlsStream<B>, Verdict> {
    let name = server_name(reencrypt, with, client_asked_for);
    let header = std::mem::take(&mut with.header);
    let shaking = async {
        write_all(&backend, &header).await?;
        let config = Arc::clone(&reencrypt.config);
        proxy_tls::connect(backend, config, name).await.map_err(|failed| failed.error)
    };
    let target = || with.target.as_deref().unwrap_or("its target");
    let failed = |why: String| {
        let detail = format!("TLS handshake with {}: {why}", target());
        Verdict::explained(conn, Cause::BackendTls, detail)
    };
    match tokio::time::timeout_at(deadline, shaking).await {
        Ok(shaken) => shaken.map_err(|error| failed(format!("{}: {error}", error.fault()))),
        Err(_) => Err(failed("it was not done within connection_timeout".to_owned())),
    }
}

/// The name to ask the backend for.
fn server_name(reencrypt: &Reencrypt, with: &With, client_asked_for: Option<&str>) -> ServerName<'static> {
    let named = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).ok();
        name.filter(|name| matches!(name, ServerName::DnsName(_)))
    };
    let of_target = || named(with.target.as_deref()?.rsplit_once(':')?.0);
    let address = match with.endpoint {
        Endpoint::Ip(address) => address.ip(),
        Endpoint::Unix(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let configured = reencrypt.server_name.clone();
    configured
        .or_else(of_target)
        .or_else(|| named(client_asked_for?))
        .unwrap_or_else(|| ServerName::from(address))
}
