//! A connection's function, and what it needs: so that nothing of a connection's life can be forgotten.
//!
//! ```text
//! ConnGuard::run(client, serve) ─► serve(Session) ─► Verdict
//!    holds the client's descriptor     header ─► hello ─► dial ─► relay
//!    ends it when it is cancelled      each with its deadline, its bytes counted, its errors told as causes
//!    says how it ended
//!    closes or resets the client, and only then drops the guard
//! ```
//!
//! What it is not: an accept loop (it spawns nothing), a choice of route, or the only way: a guard can be used alone.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};

use proxy_core::dial::Dialled;
use proxy_core::header::{self, Header, HeaderLimits, ReadError};
use proxy_core::hello::{ClientHello, HelloReader, Progress};
use proxy_core::late::within;
use proxy_core::relay::{Meter as _, Preface, RelayDeadline, RelayEnd, RelayLimits, relay};
use proxy_core::{Bound, DialError, ReadAhead, Side, Stream};
use tokio::time::Instant;

use crate::deadlines::Deadlines;
use crate::end::Cause;
use crate::entry::DeadlineKind;
use crate::guard::ConnGuard;
use crate::phase::Phase;
use crate::verdict::Verdict;

/// Bytes that are kept of a client while its backend is dialled: as much as one read takes at most. What it sends beyond that
/// waits in its socket.
pub const EARLY_DATA: usize = 64 * 1024;

/// A connection while its function serves it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Session<'a, S> {
    /// The connection's entry.
    pub conn: &'a ConnGuard,
    /// The client's stream.
    pub client: &'a S,
    /// What was read of the client and is still to be delivered to the backend. [`relay`](Self::relay) sends it first.
    pub ahead: ReadAhead,
    /// Whether the client sent a PROXY header: it is another proxy.
    chained: bool,
}

/// What a connection's task holds. Dropped in this order, so that *not tracked* implies *closed*.
struct Held<F, S> {
    serve: F,
    client: S,
    conn: ConnGuard,
}

impl ConnGuard {
    /// Runs the function of this connection to its end: `serve`, until it has a [`Verdict`] or the connection is cancelled
    /// (killed, drained, shut down), whichever is first.
    ///
    /// It notes the client's descriptor, says how the connection ended, and then closes the client if the verdict is
    /// [`orderly`](Verdict::orderly), and resets it otherwise. The guard goes last, also where the future is dropped at any
    /// `await`, or before its first poll, or where `serve` panics. What `serve` owns (a backend's stream, permits) is gone
    /// before the client is.
    ///
    /// Until `serve` enters a stage or notes [another](Self::deadline), the deadline of the connection is the default
    /// [`proxy_header_timeout`](Deadlines::proxy_header_timeout) after accept: an [`Audit`](crate::Audit) ends one that outlives it.
    ///
    /// ```
    /// # use proxy_conn::{Cause, Opening, Tracker, Verdict};
    /// # use proxy_core::{Listen, TcpListener};
    /// # async fn accept(listener: TcpListener, tracker: std::sync::Arc<Tracker>) -> std::io::Result<()> {
    /// let (client, peer) = listener.accept().await?;
    /// let conn = tracker.open(0, Opening::new(peer, "main"));
    /// conn.run(client, async |session| Verdict::of(session.conn, Cause::RouteRefused)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<S, F, V>(self, client: S, serve: F) -> impl Future<Output = ()> + use<S, F, V>
    where
        S: Stream,
        F: for<'a> AsyncFnOnce(Session<'a, S>) -> V,
        V: Into<Verdict>,
    {
        self.hold(Side::Client, client.descriptor());
        self.deadline(self.opened() + Deadlines::DEFAULT.proxy_header_timeout.get(), DeadlineKind::Header);
        let held = Held { serve, client, conn: self };
        async move {
            // Locals are dropped in the reverse order of their declaration.
            let Held { conn, client, serve } = held;
            let session =
                Session { conn: &conn, client: &client, ahead: ReadAhead::default(), chained: false };
            let verdict = tokio::select! {
                biased;
                reason = conn.cancelled() => reason.cause().during(conn.phase()).into(),
                verdict = serve(session) => verdict.into(),
            };
            conn.end(verdict.end, verdict.detail);
            if verdict.orderly {
                client.finish();
            }
        }
    }
}

impl<S: Stream> Session<'_, S> {
    /// Reads the PROXY header that this peer has to send, at most `timeout` after accept. What follows it stays in
    /// [`ahead`](Self::ahead). Which peers have to send one, and may, is the caller's decision.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The [`Verdict`] to end with: the client left, or sent no header, or none in time.
    pub async fn header(&mut self, limits: &HeaderLimits, timeout: Bound) -> Result<Header, Verdict> {
        let deadline = self.conn.opened() + timeout.get();
        self.conn.deadline(deadline, DeadlineKind::Header);
        let (conn, client) = (self.conn, self.client);
        let reading = async {
            loop {
                if let Some(header) = header::take(&mut self.ahead, limits)? {
                    self.chained = true;
                    return Ok(header);
                }
                self.fill(limits.buffer_len()).await.map_err(|error| ReadError::of(error, &self.ahead))?;
            }
        };
        let read = within(deadline, client, reading).await;
        let read = read.unwrap_or_else(|| Err(ReadError::Timeout { read: self.ahead.total() }));
        read.map_err(|error| Verdict::unread(conn, &error))
    }

    /// Enters the peek phase and reads the ClientHello, of at most `most` bytes, within `timeout`; None where the client
    /// speaks another protocol than TLS, or ends before it has said which. It stays in [`ahead`](Self::ahead).
    ///
    /// Only for ports whose clients speak first: it waits for the client. Cancel-safe, but to be called once.
    ///
    /// # Errors
    /// The [`Verdict`] to end with: the client left, what begins as TLS cannot be read, or is not complete in time.
    pub async fn hello(&mut self, most: usize, timeout: Bound) -> Result<Option<ClientHello>, Verdict> {
        let deadline = Instant::now() + timeout.get();
        self.conn.enter(Phase::Peek, deadline, DeadlineKind::Hello)?;
        let (conn, client) = (self.conn, self.client);
        let read = within(deadline, client, self.read_hello(most)).await;
        read.unwrap_or_else(|| {
            Err(Verdict::explained(
                conn,
                Cause::HelloTimeout,
                format!("no whole ClientHello within {timeout}"),
            ))
        })
    }

    async fn read_hello(&mut self, most: usize) -> Result<Option<ClientHello>, Verdict> {
        let (conn, mut reader) = (self.conn, HelloReader::new(most));
        loop {
            match reader.look(self.ahead.bytes()) {
                Progress::Hello(hello) => return Ok(Some(hello)),
                Progress::NotTls(_) => return Ok(None),
                Progress::Unreadable(why) => {
                    return Err(Verdict::explained(conn, Cause::HelloUnreadable, why.to_string()));
                }
                Progress::More if self.ahead.ended() && self.ahead.bytes().is_empty() => {
                    return Err(Verdict::of(conn, Cause::ClientLeft));
                }
                Progress::More if self.ahead.ended() && reader.begins_as_tls() => {
                    return Err(Verdict::cut_hello(conn, self.ahead.bytes().len()));
                }
                Progress::More if self.ahead.ended() => return Ok(None),
                Progress::More => {
                    if let Err(error) = self.fill(most).await {
                        return Err(Verdict::lost(conn, Side::Client, &error));
                    }
                }
            }
        }
    }

    /// Reads once, up to `most` kept bytes, and counts it.
    async fn fill(&mut self, most: usize) -> io::Result<()> {
        let room = most.saturating_sub(self.ahead.bytes().len()).max(1);
        let n = self.ahead.fill(self.client, room).await?;
        self.conn.moved(Side::Client, n as u64, Instant::now());
        Ok(())
    }

    /// Enters the dial phase, which may last `timeout`, and waits for `dialling` for as long as the client stays. What the
    /// client sends meanwhile is kept, up to [`EARLY_DATA`]. Notes the backend's descriptor, and its address where no target
    /// was noted.
    ///
    /// Dropping the future abandons the dial.
    ///
    /// # Errors
    /// The [`Verdict`] to end with: the client left, or no target was reached.
    pub async fn dial<B: Stream, P>(
        &mut self,
        timeout: Bound,
        dialling: impl Future<Output = Result<Dialled<B, P>, DialError>>,
    ) -> Result<Dialled<B, P>, Verdict> {
        let (conn, deadline) = (self.conn, Instant::now() + timeout.get());
        conn.enter(Phase::Dial, deadline, DeadlineKind::Dial)?;
        let dialling = pin!(dialling);
        let outcome = while_client_stays(conn, self.client, &mut self.ahead, EARLY_DATA, dialling).await?;
        let dialled = outcome.map_err(|error| Verdict::unreached(conn, &error))?;
        conn.hold(Side::Backend, dialled.stream.descriptor());
        conn.learn(|facts| {
            facts.target.get_or_insert_with(|| dialled.endpoint.to_string().into());
        });
        Ok(dialled)
    }

    /// Enters the relay phase and relays until both sides have ended, one has reset, or one of the `limits` has passed; the
    /// backend is sent `header` first (empty for none), then what was read of the client. It is closed if both sides have
    /// ended, and reset otherwise; then what the gate gave for it is dropped.
    ///
    /// A client that sent a PROXY header, and a backend that is sent one, are other proxies, and are given the time that is due to
    /// those ([`NextTo`](proxy_core::relay::NextTo)). Dropping the future resets the backend.
    pub async fn relay<B: Stream, P>(
        self,
        dialled: Dialled<B, P>,
        header: Vec<u8>,
        mut limits: RelayLimits,
    ) -> Verdict {
        let Session { conn, client, ahead, chained } = self;
        // The stream is dropped first: a permit that is given back is for a connection that is gone.
        let Dialled { pass: _pass, stream: backend, .. } = dialled;
        limits.proxies.client |= chained;
        limits.proxies.backend |= !header.is_empty();
        let idle = Instant::now() + limits.idle.get();
        if let Err(end) = conn.enter(Phase::Relay, idle, DeadlineKind::Relay(RelayDeadline::Idle)) {
            return end.into();
        }
        conn.hold(Side::Backend, backend.descriptor());
        if !ahead.bytes().is_empty() {
            conn.has_spoken();
        }
        let end = relay(client, &backend, Preface::new(header, ahead), &limits, conn).await;
        if matches!(end, RelayEnd::Finished { .. }) {
            backend.finish();
        }
        Verdict::relayed(conn, &end)
    }
}

/// What `future` resolves to, for as long as the client of `conn` stays; what it sends meanwhile is kept in `ahead`, up to
/// `most` bytes, and counted. Pinned where it is made: passed on by value it would be copied twice.
///
/// Cancel-safe where `future` is: what was read is in `ahead`.
///
/// # Errors
/// The [`Verdict`] to end with where the client has left first: it reset, or closed without anything left to deliver.
pub async fn while_client_stays<S: Stream, F: Future>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    most: usize,
    future: Pin<&mut F>,
) -> Result<F::Output, Verdict> {
    let read_before = ahead.total();
    let outcome = tokio::select! {
        biased;
        left = ahead.watch(client, most) => Err(left),
        output = future => Ok(output),
    };
    conn.moved(Side::Client, ahead.total() - read_before, Instant::now());
    outcome.map_err(|left| Verdict::left(conn, &left))
}

#[cfg(test)]
mod tests;
