//! How requests come in: an accept loop that goes on while there is no descriptor to be had, and whose connections are few.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use proxy_core::listen::accept_error_is_shortage;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::reserve::{Lent, Reserve};

/// Connections that are served at a time, of each listener. More wait in the kernel.
pub(super) const MOST_CONNECTIONS: usize = 64;
/// How long a client has for the head of a request, and how long it may be idle between two.
const HEAD: Duration = Duration::from_secs(30);
/// The pause after an error that no descriptor of the reserve mends: as long as a person does not notice.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a request that is being answered may still take when the proxy stops.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// After so long without an acknowledgement whoever looks is gone.
const GONE: Duration = Duration::from_secs(60);

/// Something that HTTP clients connect to.
pub(super) trait Accept: Send + Sync + 'static {
    type Io: IntoDescriptor + AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one. Cancel-safe.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Accept for UnixListener {
    type Io = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Io> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Accept for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Io> {
        let (stream, _) = Self::accept(self).await?;
        stream.set_nodelay(true)?;
        // A page on a machine that was switched off would hold its place for ever.
        let socket = socket2::SockRef::from(&stream);
        socket
            .set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(GONE / 2).with_interval(GONE / 6))?;
        socket.set_tcp_user_timeout(Some(GONE))?;
        Ok(stream)
    }
}

/// A socket that can be taken out of the runtime.
pub(super) trait IntoDescriptor {
    fn into_descriptor(self) -> io::Result<OwnedFd>;
}

impl IntoDescriptor for tokio::net::UnixStream {
    fn into_descriptor(self) -> io::Result<OwnedFd> {
        self.into_std().map(OwnedFd::from)
    }
}

impl IntoDescriptor for tokio::net::TcpStream {
    fn into_descriptor(self) -> io::Result<OwnedFd> {
        self.into_std().map(OwnedFd::from)
    }
}

/// A connection's socket. Dropped, it gives what was lent to it back to the reserve, and to nobody else.
struct Borrowing<I: IntoDescriptor> {
    io: Option<I>,
    lent: Option<Lent>,
}

impl<I: IntoDescriptor> Drop for Borrowing<I> {
    fn drop(&mut self) {
        if let (Some(lent), Some(io)) = (self.lent.take(), self.io.take())
            && let Err(error) = io.into_descriptor().and_then(|socket| lent.give_back(socket))
        {
            debug!(%error, "a descriptor of the reserve did not come back");
        }
    }
}

impl<I: IntoDescriptor + Unpin> Borrowing<I> {
    fn io(&mut self) -> io::Result<Pin<&mut I>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<I: IntoDescriptor + AsyncRead + Unpin> AsyncRead for Borrowing<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io()?.poll_read(cx, to)
    }
}

impl<I: IntoDescriptor + AsyncWrite + Unpin> AsyncWrite for Borrowing<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.io()?.poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_shutdown(cx)
    }
}

/// What a loop serves, and with what.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) reserve: Reserve,
    pub(super) tasks: TaskTracker,
    /// Ends connections.
    pub(super) stop: CancellationToken,
    /// Ends the loop.
    pub(super) until: CancellationToken,
}

/// Accepts until `serving.until`.
pub(super) async fn accept_loop<L: Accept>(listener: &L, serving: Serving) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (io, lent) = next(listener, &serving.reserve).await;
            let io = Borrowing { io: Some(io), lent };
            serving.tasks.spawn(serve(io, serving.router.clone(), place, serving.stop.clone()));
        }
    };
    serving.until.run_until_cancelled(accepting).await;
}

/// The next connection, and what was lent to it where there was no descriptor for it.
async fn next<L: Accept>(listener: &L, reserve: &Reserve) -> (L::Io, Option<Lent>) {
    let mut lent = None;
    loop {
        let error = match listener.accept().await {
            Ok(io) => return (io, lent),
            Err(error) => error,
        };
        reserve.refill();
        if accept_error_is_shortage(&error) && lent.is_none() {
            lent = reserve.lend();
            if lent.is_some() {
                continue;
            }
        }
        // Somebody else was faster, or all are lent: those that hold them have one answer each, and end.
        debug!(%error, "the admin API cannot accept; will try again");
        lent = None;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Answers the requests of one connection; of one that a descriptor was lent to, one request.
async fn serve<I>(io: Borrowing<I>, router: Router, _place: OwnedSemaphorePermit, stop: CancellationToken)
where
    I: IntoDescriptor + AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(io.lent.is_none());
    let connection = server.serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(LAST_ANSWER, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return warn!("the admin API was still answering when the proxy stopped"),
            }
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "a connection of the admin API ended badly");
    }
}
