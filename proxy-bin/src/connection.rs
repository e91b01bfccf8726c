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

mod admit;
mod client;
mod dial;
mod header;
mod peek;
mod relay;
mod route;
mod verdict;

use std::sync::Arc;

use proxy_conn::{ConnGuard, Permit};
use proxy_core::{Dial, ReadAhead, Stream};

use crate::proxy::{Listener, Proxy};
use verdict::Verdict;

/// A connection as it comes from the listener.
struct Accepted<'p, S, D> {
    client: S,
    ahead: ReadAhead,
    at: &'p Listener,
    proxy: &'p Proxy<D>,
}

/// What the accept loop hands over. Fields are dropped in order, so the guard goes last also when the task is dropped
/// before it has run at all.
pub(crate) struct Newcomer<S, D> {
    pub(crate) client: S,
    /// Its place among all that may be served; None if others were faster, and it has to wait for one.
    pub(crate) permit: Option<Permit>,
    pub(crate) at: Arc<Listener>,
    pub(crate) proxy: Arc<Proxy<D>>,
    pub(crate) conn: ConnGuard,
}

/// Serves one connection from accept to its end. `conn` is bound first, so it is dropped last.
pub(crate) async fn serve<S: Stream, D: Dial>(newcomer: Newcomer<S, D>) {
    let conn = newcomer.conn;
    let (permit, at, proxy) = (newcomer.permit, newcomer.at, newcomer.proxy);
    let accepted = Accepted { client: newcomer.client, ahead: ReadAhead::default(), at: &at, proxy: &proxy };
    let verdict = tokio::select! {
        biased;
        reason = conn.cancelled() => reason.cause().during(conn.phase()).into(),
        verdict = live(&conn, permit, accepted) => verdict,
    };
    proxy.given_back();
    conn.end(verdict.end, verdict.detail);
}

/// Every stage in order; the first that cannot go on says why.
async fn live<S: Stream, D: Dial>(
    conn: &ConnGuard,
    permit: Option<Permit>,
    accepted: Accepted<'_, S, D>,
) -> Verdict {
    let whole = async {
        let mut accepted = accepted;
        let _permit = admit::to_the_process(conn, permit, &mut accepted).await?;
        let greeted = header::greet(conn, accepted).await?;
        let peeked = peek::peek(conn, greeted).await?;
        let routed = route::route(conn, peeked)?;
        let admitted = admit::admit(conn, routed).await?;
        let dialled = dial::dial(conn, admitted).await?;
        Ok(relay::relay(conn, dialled).await)
    };
    whole.await.unwrap_or_else(|verdict| verdict)
}

#[cfg(test)]
mod tests;
