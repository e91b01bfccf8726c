//! The tls stage, where a route ends a client's TLS or speaks TLS to its backends: the same stages as without, over streams that
//! have it.
//!
//! ```text
//! routed ─► handshake with the client ─► admit ─► dial ─► [PROXY header] ─► handshake with the backend ─► relay [PROXY header, to a hop]
//!           phase tls                            within connection_timeout, while the client stays
//! ```
//! Nothing is dialled before the client's handshake is done: a client that cannot finish one costs no backend anything.

mod backend;
mod by_host;
mod client;
mod plain_http;

use std::pin::pin;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Permit, Phase, Verdict};
use proxy_core::relay::Engine;
use proxy_core::stream::Lent;
use proxy_core::{Dial, ReadAhead, Side, Stream};
use proxy_tls::{HandshakeFault, MaybeTls};
use tokio::time::Instant;

pub(super) use self::backend::{Towards, reencrypted};
pub(super) use self::by_host::{answer as answer_plain_http, may_be_request as may_be_plain_http};
use self::client::terminated;
use super::admit;
use super::client::while_client_stays;
use super::deadline::{enter, within};
use super::dial::{self, Dialled};
use super::relay::{self, Established, Preamble};
use super::route::Routed;
use crate::settings::SendProxy;

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
    let handshakes = &routed.passage.proxy.handshakes;
    let early_data = routed.passage.proxy.settings.early_data;
    let (client, ahead) = client_side(conn, accepted, &mut routed).await?;
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
                // Where the header goes inside, it is the relay's to send.
                let header =
                    if reencrypt.header_inside { Vec::new() } else { std::mem::take(&mut with.header) };
                let unproven = with.unproven.take();
                let towards =
                    Towards { target: with.target.as_deref(), endpoint: &with.endpoint, header, unproven };
                let shaking =
                    pin!(reencrypted(conn, (reencrypt, name), backend, towards, deadline, handshakes));
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

/// The client's side: a handshake where its TLS ends here, and its bytes as they come where it does not. What was read of it that is
/// no handshake's comes with it.
pub(super) async fn client_side<'c, S: Stream, D: Dial>(
    conn: &ConnGuard,
    accepted: &'c S,
    routed: &mut Routed<'_, S, D>,
) -> Result<(MaybeTls<Lent<'c, S>>, ReadAhead), Verdict> {
    let ahead = std::mem::take(&mut routed.passage.ahead);
    let Some(terminate) = &routed.route.tls.terminate else {
        return Ok((MaybeTls::Plain(Lent(accepted)), ahead));
    };
    let handshakes = &routed.passage.proxy.handshakes;
    let timeout = routed.deadlines.tls_handshake_timeout;
    let deadline = enter(conn, Phase::Tls, timeout, DeadlineKind::Tls)?;
    let shaken = Box::pin(terminated(conn, terminate, accepted, &mut routed.passage, ahead));
    let shaken = within(deadline, accepted, shaken).await.unwrap_or_else(|| {
        handshakes.failed(Side::Client, HandshakeFault::Timeout);
        let detail = format!("no TLS handshake within tls_handshake_timeout {timeout}");
        Err(Verdict::explained(conn, Cause::TlsTimeout, detail))
    })?;
    if matches!(routed.route.send_proxy, SendProxy::V2(_)) {
        routed.passage.origin.ends_tls(&shaken);
    }
    Ok((MaybeTls::Tls(shaken), ReadAhead::default()))
}

impl<S: Stream, B: Stream> Secured<'_, S, B> {
    /// Relays until the connection ends, and closes it.
    ///
    /// It stays where it is meanwhile, and is used as a whole: taken apart, it would be held twice for as long as the connection lives.
    pub(super) async fn serve<E: Engine>(mut self: Box<Self>, engine: E, conn: &ConnGuard) -> Verdict {
        let preamble = std::mem::take(&mut self.preamble);
        let end = self.established.relay(engine, conn, &self.client, preamble).await;
        let Self { client, established, .. } = *self;
        let verdict = established.close(conn, &end);
        truncated(conn, &client, verdict)
    }
}

/// What is told of a client that ended its TCP without the `close_notify` of its TLS, where it is else told to have finished.
pub(super) fn truncated<S: Stream>(
    conn: &ConnGuard,
    client: &MaybeTls<Lent<'_, S>>,
    verdict: Verdict,
) -> Verdict {
    let truncated = matches!(client, MaybeTls::Tls(stream) if stream.was_truncated());
    if truncated && verdict.end.cause == Cause::Finished {
        return Verdict { end: Cause::ClientTruncated.during(conn.phase()), ..verdict };
    }
    verdict
}
