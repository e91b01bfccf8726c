//! The life of one connection.
//!
//! ```text
//! accept ─► [hop] ─► header ─► peek ─► route ─► (tls) ─► admit ─► dial ─► relay ─► (drain) ─► gone
//! ```
//!
//! One task runs `serve`, and its frame owns everything: the guard, the two streams, the permits. A stage takes what the
//! stage before it made, so their order is the compiler's business. Whatever ends a stage (its verdict, a deadline, a
//! cancel, an abort, a panic) drops what it owns: the backend's stream, the permit, the client's stream, and last
//! the guard. A stream that is dropped resets; only a relay in which both sides finished closes them in an orderly way.
//! So every end but the clean one reaches both sides at once, and through every further hop.
//!
//! The generation that it was accepted under is held by the stages up to the backend, and gone with them: an established
//! connection has what it needs itself, however many reloads it outlives. One that is served by requests holds it for as long as
//! it is in force, and a request longer.

mod admit;
mod announce;
mod asked;
mod challenge;
mod client;
mod client_tls;
mod deadline;
mod dial;
mod found;
mod header;
mod hop;
mod http;
mod origin;
mod passage;
mod peek;
mod relay;
mod route;
mod tls;

use std::convert::identity;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use proxy_conn::{AddressPermit, Cause, ConnGuard, Opening, Permit, Phase, Reason, Verdict};
use proxy_core::relay::PollLoop;
use proxy_core::{Dial, PeerAddr, Side, Stream};

use crate::generation::{Capacity, ListenerInForce};
use crate::settings::Greeting;
use passage::Passage;
use peek::Peeked;
use relay::{Established, Preamble};
use tls::Secured;

/// What the accept loop hands over. Fields are dropped in order, so the client goes before the guard, also when the task is
/// dropped before it has run at all.
pub(crate) struct Newcomer<S, D> {
    pub(crate) client: S,
    admission: Admission<D>,
    capacity: Arc<Capacity>,
    conn: ConnGuard,
}

/// What a connection was let in with.
struct Admission<D> {
    /// What it begins with; taken when it does.
    start: Option<Start<D>>,
    /// Its place among its client's connections: from accept on as the peer's, until a header says whose it is. None for one
    /// that is counted as nobody's.
    counted: Option<AddressPermit>,
}

/// What a connection begins with.
struct Start<D> {
    /// Its place among all that may be served; None if others were faster, and it has to wait for one.
    permit: Option<Permit>,
    listener: Arc<ListenerInForce<D>>,
}

/// Opens the entry of a connection that was just accepted. None if its peer may have no more, or none yet: then it has ended,
/// before anything was done for it.
pub(crate) fn receive<S: Stream, D: Dial>(
    listener: Arc<ListenerInForce<D>>,
    worker: usize,
    client: S,
    peer: PeerAddr,
) -> Option<Newcomer<S, D>> {
    let (at, proxy) = (&listener.at, &listener.proxy);
    let conn = proxy.tracker.open(worker, Opening::new(peer, at.label.clone()));
    conn.hold(Side::Client, client.descriptor());
    let counted = match admit::the_peer(&conn, at, proxy) {
        Ok(counted) => counted,
        Err(verdict) => {
            conn.end(verdict.end, verdict.detail);
            // As a newcomer would go: the client before its entry.
            drop(client);
            return None;
        }
    };
    // Several workers may have seen the last free place: whoever comes too late waits for one.
    let permit = proxy.connections.acquire();
    let capacity = Arc::clone(&proxy.capacity);
    capacity.acquired();
    let admission = Admission { start: Some(Start { permit, listener }), counted };
    Some(Newcomer { client, admission, capacity, conn })
}

/// Serves one connection from accept to its end.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would hold the newcomer twice, for as long as it lives"
)]
pub(crate) fn serve<S: Stream, D: Dial>(mut newcomer: Newcomer<S, D>) -> impl Future<Output = ()> + Send {
    async move {
        // Borrowed as a whole, so that it is held as a whole: held field by field, the guard would not have to go last.
        let Newcomer { client, admission, capacity, conn } = &mut newcomer;
        let (client, conn) = (&*client, &*conn);
        let verdict = tokio::select! {
            biased;
            reason = conn.cancelled() => cancelled(conn, reason),
            verdict = live::<AtTheSocket, _, _>(conn, client, admission) => verdict,
        };
        capacity.released();
        conn.end(verdict.end, verdict.detail);
        if verdict.orderly {
            newcomer.client.finish();
        }
    }
}

/// How one ends that is ended from outside: between two requests in order, since nothing is cut by that.
fn cancelled(conn: &ConnGuard, reason: Reason) -> Verdict {
    let phase = conn.phase();
    Verdict { orderly: phase == Phase::Idle, ..reason.cause().during(phase).into() }
}

/// Where a stream of the client's is: hops are taken at a socket, and not again within the TLS of one.
trait Place {
    /// All stages within a hop's TLS, where the listener takes hops.
    fn within_a_hop<'l, S: Stream, D: Dial>(
        conn: &'l ConnGuard,
        client: &'l S,
        admission: &'l mut Admission<D>,
    ) -> Option<Boxed<'l>>;
}

/// Boxed: what it holds, every plain connection would have room for.
type Boxed<'l> = Pin<Box<dyn Future<Output = Verdict> + Send + 'l>>;

struct AtTheSocket;

impl Place for AtTheSocket {
    fn within_a_hop<'l, S: Stream, D: Dial>(
        conn: &'l ConnGuard,
        client: &'l S,
        admission: &'l mut Admission<D>,
    ) -> Option<Boxed<'l>> {
        let listener = admission.start.as_ref().map(|start| &start.listener)?;
        let listener = Some(listener).filter(|listener| listener.at.config.hop.is_some()).cloned()?;
        Some(Box::pin(hop::live(conn, client, admission, listener)))
    }
}

struct WithinAHop;

impl Place for WithinAHop {
    fn within_a_hop<'l, S: Stream, D: Dial>(
        _: &'l ConnGuard,
        _: &'l S,
        _: &'l mut Admission<D>,
    ) -> Option<Boxed<'l>> {
        None
    }
}

/// Every stage in order; the first that cannot go on says why.
async fn live<P: Place, S: Stream, D: Dial>(
    conn: &ConnGuard,
    client: &S,
    admission: &mut Admission<D>,
) -> Verdict {
    if let Some(within) = P::within_a_hop(conn, client, admission) {
        return within.await;
    }
    let (plain, secured) = Way::apart(establish(conn, client, admission).await);
    if let Some(secured) = identity(secured) {
        // Both are moved as wholes: what a match leaves behind, every plain connection would have room for.
        drop(plain);
        return secured.serve(PollLoop, conn).await;
    }
    let (established, preamble) = match identity(plain) {
        Ok(both) => both,
        Err(verdict) => return verdict,
    };
    let end = established.relay(PollLoop, conn, client, preamble).await;
    established.close(conn, &end)
}

/// How the bytes of a connection go that has its backend.
enum Way<'p, S, B> {
    /// As they come.
    Plain(Established<B>, Preamble),
    /// Through TLS on one side or on both.
    Secured(Box<Secured<'p, S, B>>),
}

/// What comes of the stages up to the backend, TLS apart.
type Apart<'p, S, B> = (Result<(Established<B>, Preamble), Verdict>, Option<Box<Secured<'p, S, B>>>);

impl<'p, S, B> Way<'p, S, B> {
    /// One or the other, each moved as a whole: what a match leaves behind would be held for as long as a connection lives. Where it is
    /// the second, nothing is read of the first.
    fn apart(way: Result<Self, Verdict>) -> Apart<'p, S, B> {
        match way {
            Ok(Self::Plain(established, preamble)) => (Ok((established, preamble)), None),
            Ok(Self::Secured(secured)) => (Err(Cause::Aborted.during(Phase::Dial).into()), Some(secured)),
            Err(verdict) => (Err(verdict), None),
        }
    }
}

/// The stages up to the backend. They are boxed: they need more room than a relay, and only for moments. Those that may be
/// waited for without a route have a box of their own, which is a fraction of the other: a crowd may be in it.
async fn establish<'p, S: Stream, D: Dial>(
    conn: &ConnGuard,
    client: &'p S,
    Admission { start, counted }: &mut Admission<D>,
) -> Result<Way<'p, S, D::Stream>, Verdict> {
    // INVARIANT: a connection begins once, with what the accept loop gave it.
    let Start { permit, listener } = start.take().ok_or_else(|| Verdict::of(conn, Cause::Aborted))?;
    let passage = Passage::new(conn, client, &listener.at, &listener.proxy);
    if may_wait(conn, &listener) {
        let (process, peeked, passage) = Box::pin(identify(conn, passage, permit, counted)).await?;
        Box::pin(connect(conn, client, process, peeked, passage)).await
    } else {
        Box::pin(async {
            let (process, peeked, passage) = identify(conn, passage, permit, counted).await?;
            connect(conn, client, process, peeked, passage).await
        })
        .await
    }
}

/// Whether anything has to be read of a connection before it has a route.
fn may_wait<D>(conn: &ConnGuard, listener: &ListenerInForce<D>) -> bool {
    let ListenerInForce { at, proxy } = listener;
    at.config.greeting(conn.peer().ip()) != Greeting::Plain
        || proxy.settings.routes.needs_hello(at.config.port)
        || challenge::may_be_asked(proxy.settings.answering.as_ref(), at.config.port)
}

/// The stages before it has a route: whose it is, and what it asks for.
async fn identify<'p, S: Stream, D>(
    conn: &ConnGuard,
    mut passage: Passage<'p, S, D>,
    permit: Option<Permit>,
    counted: &mut Option<AddressPermit>,
) -> Result<(Permit, Peeked, Passage<'p, S, D>), Verdict> {
    let proxy = passage.proxy;
    let process = admit::to_the_process(conn, permit, &mut passage).await?;
    let mut wait = proxy.lobby.wait();
    let greeted = header::greet(conn, &mut passage, &mut wait).await?;
    admit::the_client(conn, counted, passage.origin.counted, proxy)?;
    let peeked = peek::peek(conn, greeted, &mut passage, &mut wait).await?;
    if proxy.settings.answering.is_some() {
        Box::pin(challenge::answer(conn, &mut passage, &mut wait)).await?;
    }
    if tls::may_be_plain_http(&passage) {
        Box::pin(tls::answer_plain_http(conn, &mut passage, &mut wait)).await?;
    }
    Ok((process, peeked, passage))
}

/// The stages from its route to its backend.
async fn connect<'c, S: Stream, D: Dial>(
    conn: &ConnGuard,
    client: &'c S,
    process: Permit,
    peeked: Peeked,
    passage: Passage<'_, S, D>,
) -> Result<Way<'c, S, D::Stream>, Verdict> {
    let routed = route::route(conn, peeked, passage)?;
    if routed.route.http.is_some() {
        return Err(Box::pin(http::serve(conn, client, process, routed)).await);
    }
    if !routed.route.tls.is_passthrough() {
        let secured = Box::pin(tls::secure(conn, client, process, routed)).await?;
        return Ok(Way::Secured(Box::new(secured)));
    }
    let admitted = admit::admit(conn, process, routed).await?;
    let dialled = dial::dial(conn, admitted).await?;
    let (established, preamble) = relay::begin(conn, dialled)?;
    Ok(Way::Plain(established, preamble))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a connection takes of memory in its task, whether busy or idle. Beside it there are its entry
    /// (`proxy-conn/tests/tracker_memory.rs`) and the places of two sockets in the reactor.
    #[test]
    fn an_established_connection_is_a_small_future() {
        fn size<A, F>(_: fn(A) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(serve::<proxy_core::Socket, proxy_core::TcpDialer>);
        assert!(bytes <= 784, "{bytes} bytes");
    }
}
