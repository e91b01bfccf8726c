//! The hop stage, where a listener takes other hops: each proves that it is one by its certificate, before anything else, and what is
//! served is inside of its TLS, as it would be without.
//!
//! ```text
//! accepted ─► handshake with the hop ─► [ header ─► peek ─► route ─► … ─► relay ] ─► close_notify, where it ended in order
//!             phase header, in the lobby        inside
//! ```
//! A question of the hop ([`asked`](super::asked)) is inside, too. The hop that is refused is told so by an alert; what it may have said
//! already is read by nobody.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Verdict};
use proxy_core::stream::{Lent, read, shutdown};
use proxy_core::{Bound, Dial, Side, Stream};
use proxy_tls::{Failed, HandshakeError, HandshakeFault, Hop, TlsStream, accept};
use tokio::time::{Instant, timeout_at};

use super::client::gave_way;
use super::deadline::within;
use super::{Admission, WithinAHop};
use crate::generation::{Generation, ListenerInForce};

/// How long the end of what ended in order may take: to be written, which a socket has room for, and to be answered by the other hop,
/// which is on its way with its own.
const ENDED_WITHIN: Bound = Bound::secs(2);

/// All stages, within the TLS of the hop that has connected at `listener`.
pub(super) async fn live<S: Stream, D: Dial>(
    conn: &ConnGuard,
    client: &S,
    admission: &mut Admission<D>,
    listener: Arc<ListenerInForce<D>>,
) -> Verdict {
    let shaken = Box::pin(shaken(conn, client, &listener)).await;
    drop(listener);
    let neighbour = match shaken {
        Ok(neighbour) => neighbour,
        Err(verdict) => return verdict,
    };
    let verdict = super::live::<WithinAHop, _, _>(conn, &neighbour, admission).await;
    if verdict.orderly {
        // Where it cannot be written, whoever reads there is told that something is missing.
        drop(timeout_at(Instant::now() + ENDED_WITHIN.get(), Box::pin(ends(&neighbour))).await);
    }
    verdict
}

/// Ends the TLS with the hop, and takes the end of its own. A client's TLS that ended inside says nothing of that: a socket that is
/// closed before the `close_notify` of the hop is read answers it with a reset, and what ended in order would look cut off over there.
async fn ends<S: Stream>(neighbour: &S) -> io::Result<()> {
    // A relay has written it already.
    poll_fn(|cx| neighbour.poll_finish(cx)).await?;
    let mut rest = [0; 512];
    let told = poll_fn(|cx| Poll::Ready(neighbour.poll_read(cx, &mut rest))).await;
    if !matches!(told, Poll::Ready(Ok(0) | Err(_))) {
        shutdown(neighbour).await?;
        while read(neighbour, &mut rest).await? > 0 {}
    }
    Ok(())
}

/// The handshake, for as long as there is a place to wait in.
async fn shaken<'c, S: Stream, D>(
    conn: &ConnGuard,
    client: &'c S,
    listener: &ListenerInForce<D>,
) -> Result<TlsStream<Lent<'c, S>>, Verdict> {
    let ListenerInForce { at, proxy } = listener;
    // INVARIANT: this stage is for listeners that take hops.
    let hop = at.config.hop.as_deref().ok_or_else(|| Verdict::of(conn, Cause::Aborted))?;
    let timeout = proxy.settings.deadlines.tls_handshake_timeout;
    let deadline = conn.opened() + timeout.get();
    conn.deadline(deadline, DeadlineKind::Tls);
    let shaking = handshake(conn, client, hop, proxy);
    let stream = within(deadline, client, shaking).await.unwrap_or_else(|| {
        proxy.handshakes.failed(Side::Client, HandshakeFault::Timeout);
        let detail = format!("no TLS handshake of a hop within tls_handshake_timeout {timeout}");
        Err(Verdict::explained(conn, Cause::TlsTimeout, detail))
    })?;
    let identity = stream.peer_identity();
    conn.learn(|facts| facts.hop = identity.map(|identity| identity.name().into()));
    Ok(stream)
}

async fn handshake<'c, S: Stream, D>(
    conn: &ConnGuard,
    client: &'c S,
    hop: &Hop,
    proxy: &Generation<D>,
) -> Result<TlsStream<Lent<'c, S>>, Verdict> {
    let mut wait = proxy.lobby.wait();
    let mut shaking = pin!(accept(Lent(client), Arc::clone(hop.server()), Vec::new()));
    let shaken = poll_fn(|cx| match shaking.as_mut().poll(cx) {
        Poll::Ready(shaken) => Poll::Ready(Some(shaken)),
        Poll::Pending => wait.poll_out(cx).map(|()| None),
    });
    let shaken = shaken.await.ok_or_else(|| gave_way(conn, wait.most()))?;
    let stream = shaken.map_err(|Failed { error, .. }| {
        proxy.handshakes.failed(Side::Client, error.fault());
        refused(conn, &error)
    })?;
    proxy.handshakes.done(Side::Client, false);
    Ok(stream)
}

/// Why it is no hop. It was sent an alert, which a reset would make it forget.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an error may grow; what it grows by is told in its own words"
)]
fn refused(conn: &ConnGuard, error: &HandshakeError) -> Verdict {
    match error {
        HandshakeError::Io(error) => Verdict::lost(conn, Side::Client, error),
        HandshakeError::Left => {
            Verdict::explained(conn, Cause::ClientLeft, "it ended before it had proven to be a hop")
        }
        error => {
            let detail = format!("{}: no hop (this listener has `hop`): {error}", error.fault());
            Verdict::explained(conn, Cause::TlsFailed, detail).in_order()
        }
    }
}
