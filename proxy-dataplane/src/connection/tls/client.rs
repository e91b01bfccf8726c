//! The handshake with the client.

use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, Verdict};
use proxy_core::hello::{ClientHello, HelloReader, Progress};
use proxy_core::stream::Lent;
use proxy_core::{ReadAhead, Side, Stream};
use proxy_tls::{Agreed, CertificateStore, Failed, HandshakeError, HandshakeFault, TlsStream, accept};

use super::super::challenge;
use super::super::passage::Passage;
use super::plain_http;
use crate::handshakes::Handshakes;
use crate::settings::{Terminate, Truncated};

/// The handshake with the client, of which the front was read already: counted, and noted what it has come to.
pub(super) async fn terminated<'c, S: Stream, D>(
    conn: &ConnGuard,
    terminate: &Terminate,
    accepted: &'c S,
    passage: &mut Passage<'_, S, D>,
    mut ahead: ReadAhead,
) -> Result<TlsStream<Lent<'c, S>>, Verdict> {
    // Only what a stage before this one has read is counted.
    let counted = ahead.bytes().len() as u64;
    if passage.hello.is_none() {
        passage.hello = read_hello(accepted, &mut ahead, passage.proxy.settings.max_client_hello).await;
        let name = passage.hello.as_ref().and_then(|hello| hello.server_name.clone());
        conn.learn(|facts| facts.server_name = name);
    }
    let answering = passage.proxy.settings.answering.as_ref();
    // Where no route of the port asks for a name, the hello was not read before.
    if let Some((name, config)) = answering.and_then(|to| challenge::pending(to, passage.hello.as_ref())) {
        return Err(challenge::by_handshake(conn, &name, config, accepted, ahead).await);
    }
    let handshakes = &passage.proxy.handshakes;
    if passage.hello.is_none() && plain_http::begins(accepted, &mut ahead).await {
        handshakes.failed(Side::Client, HandshakeFault::PlainHttp);
        return Err(plain_http::answered(conn, terminate.plain_http, accepted, &mut ahead).await);
    }
    let shaken = accept(Lent(accepted), Arc::clone(&terminate.config), ahead.into_bytes()).await;
    let mut stream = shaken.map_err(|Failed { error, .. }| {
        handshakes.failed(Side::Client, error.fault());
        let name = passage.hello.as_ref().and_then(|hello| hello.server_name.as_deref());
        refused(conn, &error, name, &terminate.certificates)
    })?;
    conn.spent_on_handshake(counted);
    note(conn, &stream.agreed(), handshakes);
    if terminate.truncated == Truncated::End {
        stream.takes_truncated_for_ended();
    }
    if let Some(identity) = stream.peer_identity() {
        conn.learn(|facts| facts.tls.get_or_insert_default().identity = Some(identity.name().into()));
    }
    Ok(stream)
}

/// Notes and counts what was agreed upon.
fn note(conn: &ConnGuard, agreed: &Agreed, handshakes: &Handshakes) {
    handshakes.done(Side::Client, agreed.resumed);
    conn.learn(|facts| {
        let tls = facts.tls.get_or_insert_default();
        (tls.version, tls.cipher, tls.group, tls.resumed) =
            (agreed.version, agreed.cipher, agreed.group, agreed.resumed);
        tls.alpn = agreed.alpn.as_deref().map(|protocol| String::from_utf8_lossy(protocol).into());
    });
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
fn refused(
    conn: &ConnGuard,
    error: &HandshakeError,
    name: Option<&str>,
    certificates: &CertificateStore,
) -> Verdict {
    match error {
        HandshakeError::Io(error) => Verdict::lost(conn, Side::Client, error),
        HandshakeError::Left => {
            Verdict::explained(conn, Cause::ClientLeft, "it ended before its TLS handshake was done")
        }
        error => {
            let missing = name.filter(|_| error.fault() == HandshakeFault::NoCertificate);
            let awaited = missing.and_then(|name| certificates.awaited(name));
            let awaited = awaited.map(|how| format!("; {how}")).unwrap_or_default();
            let name = name.unwrap_or("none");
            let detail = format!("{}: {error} (server name {name}{awaited})", error.fault());
            Verdict::explained(conn, Cause::TlsFailed, detail).in_order()
        }
    }
}
