//! The life of one connection.
//!
//! ```text
//! accept ─► header ─► peek ─► route ─► admit ─► dial ─► relay ─► (drain) ─► gone
//! ```
//!
//! One task runs `serve`, and its frame owns everything: the guard, the two streams, the permit. A stage takes what the
//! stage before it made, so their order is the compiler's business. Whatever ends a stage (its verdict, a deadline, a
//! cancel, an abort, a panic) drops what it owns: the backend's stream, the permit, the client's stream, and last
//! the guard. A stream that is dropped resets; only a relay in which both sides finished closes them in an orderly way.
//! So every end but the clean one reaches both sides at once, and through every further hop.
//!
//! The generation that it was accepted under is held by the stages up to the backend, and gone with them: an established
//! connection has what it needs itself, however many reloads it outlives.

mod admit;
mod announce;
mod client;
mod dial;
mod header;
mod peek;
mod relay;
mod route;
mod verdict;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, Permit};
use proxy_core::{Dial, ReadAhead, Stream};

use crate::accept::Seat;
use crate::proxy::{Listener, Proxy, Room};
use relay::{Established, Preamble};
use verdict::Verdict;

/// A connection as it comes from the listener.
struct Accepted<'p, S, D> {
    client: &'p S,
    ahead: ReadAhead,
    at: &'p Listener,
    proxy: &'p Proxy<D>,
}

/// What the accept loop hands over. Fields are dropped in order, so the client goes before the guard, also when the task is
/// dropped before it has run at all.
pub(crate) struct Newcomer<S, D> {
    pub(crate) client: S,
    /// What it begins with; taken when it does.
    pub(crate) start: Option<Start<D>>,
    pub(crate) room: Arc<Room>,
    pub(crate) conn: ConnGuard,
}

/// What a connection begins with.
pub(crate) struct Start<D> {
    /// Its place among all that may be served; None if others were faster, and it has to wait for one.
    pub(crate) permit: Option<Permit>,
    pub(crate) seat: Arc<Seat<D>>,
}

/// Serves one connection from accept to its end.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would hold the newcomer twice, for as long as it lives"
)]
pub(crate) fn serve<S: Stream, D: Dial>(mut newcomer: Newcomer<S, D>) -> impl Future<Output = ()> + Send {
    async move {
        // Borrowed as a whole, so that it is held as a whole: held field by field, the guard would not have to go last.
        let Newcomer { client, start, room, conn } = &mut newcomer;
        let (client, conn) = (&*client, &*conn);
        let establishing = Box::pin(establish(conn, client, start.take()));
        let verdict = tokio::select! {
            biased;
            reason = conn.cancelled() => reason.cause().during(conn.phase()).into(),
            verdict = live(conn, client, establishing) => verdict,
        };
        room.given_back();
        conn.end(verdict.end, verdict.detail);
        if verdict.orderly {
            newcomer.client.finish();
        }
    }
}

/// Every stage in order; the first that cannot go on says why. What comes before the relay is boxed: it needs three times as
/// much room, and only for moments.
async fn live<S: Stream, B: Stream>(
    conn: &ConnGuard,
    client: &S,
    establishing: Pin<Box<impl Future<Output = Result<(Established<B>, Preamble), Verdict>>>>,
) -> Verdict {
    let (established, preamble) = match establishing.await {
        Ok(both) => both,
        Err(verdict) => return verdict,
    };
    let end = established.relay(conn, client, preamble).await;
    established.close(conn, &end)
}

/// The stages up to the backend.
async fn establish<S: Stream, D: Dial>(
    conn: &ConnGuard,
    client: &S,
    start: Option<Start<D>>,
) -> Result<(Established<D::Stream>, Preamble), Verdict> {
    // INVARIANT: a connection begins once, with what the accept loop gave it.
    let Start { permit, seat } = start.ok_or_else(|| Verdict::of(conn, Cause::Aborted))?;
    let mut accepted = Accepted { client, ahead: ReadAhead::default(), at: &seat.at, proxy: &seat.proxy };
    let permit = admit::to_the_process(conn, permit, &mut accepted).await?;
    let greeted = header::greet(conn, accepted).await?;
    let peeked = peek::peek(conn, greeted).await?;
    let routed = route::route(conn, peeked)?;
    let admitted = admit::admit(conn, permit, routed).await?;
    let dialled = dial::dial(conn, admitted).await?;
    Ok(relay::begin(conn, dialled)?)
}

#[cfg(test)]
mod tests;
