//! How requests come in: an accept loop that goes on while there is no descriptor to be had, and whose connections are few.
//!
//! Each has a [seat](super::seats). One that sends no request has it for a moment only, and less where others need it.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use proxy_core::listen::accept_error_is_shortage;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::reserve::{Lent, Reserve};
use super::seats::{Seat, Seats, Source, UnderWay};

/// Connections that are served at a time, of each listener. More wait in the kernel.
pub(super) const MOST_CONNECTIONS: usize = 64;
/// How long a client has for the head of its first request: it connects because it has one.
const FIRST_HEAD: Duration = Duration::from_secs(5);
/// How long it may be idle between two, until the head of the next has come whole: twice as long as Prometheus pauses.
const NEXT_HEAD: Duration = Duration::from_secs(30);
/// The pause after an error that no descriptor of the reserve mends: as long as a person does not notice.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a request that is being answered may still take when the proxy stops, and what is left of an answer to go out when
/// somebody else needs the seat.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// After so long without an acknowledgement whoever looks is gone.
const GONE: Duration = Duration::from_secs(60);

/// Something that HTTP clients connect to.
pub(super) trait Accept: Send + Sync + 'static {
    type Io: IntoDescriptor + AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one, and where it is from. Cancel-safe.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Source)>> + Send;
}

impl Accept for UnixListener {
    type Io = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Io, Source)> {
        Self::accept(self).await.map(|(stream, _)| (stream, Source::Local))
    }
}

impl Accept for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Io, Source)> {
        let (stream, peer) = Self::accept(self).await?;
        stream.set_nodelay(true)?;
        // A page on a machine that was switched off would hold its place for ever.
        let socket = socket2::SockRef::from(&stream);
        socket
            .set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(GONE / 2).with_interval(GONE / 6))?;
        socket.set_tcp_user_timeout(Some(GONE))?;
        Ok((stream, Source::of(peer.ip())))
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
    let seats = Seats::new(MOST_CONNECTIONS);
    let accepting = async {
        loop {
            let (io, source, lent) = next(listener, &serving.reserve, &seats).await;
            let io = Borrowing { io: Some(io), lent };
            let seat = Arc::new(seats.take(source).await);
            serving.tasks.spawn(serve(io, serving.router.clone(), seat, serving.stop.clone()));
            // Whoever has just come has its first turn before others can put it out.
            tokio::task::yield_now().await;
        }
    };
    serving.until.run_until_cancelled(accepting).await;
}

/// The next connection, and what was lent to it where there was no descriptor for it.
async fn next<L: Accept>(listener: &L, reserve: &Reserve, seats: &Seats) -> (L::Io, Source, Option<Lent>) {
    let mut lent = None;
    loop {
        let error = match listener.accept().await {
            Ok((io, source)) => return (io, source, lent),
            Err(error) => error,
        };
        reserve.refill();
        if accept_error_is_shortage(&error) && lent.is_none() {
            lent = reserve.lend();
            if lent.is_some() {
                continue;
            }
            // All are lent, and what has none to answer need not keep its own.
            seats.make_room();
        }
        // Somebody else was faster, or all are lent: those that hold them have one answer each, and end.
        debug!(%error, "the admin API cannot accept; will try again");
        lent = None;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Answers the requests of one connection; of one that a descriptor was lent to, one request.
async fn serve<I>(io: Borrowing<I>, router: Router, seat: Arc<Seat>, stop: CancellationToken)
where
    I: IntoDescriptor + AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(NEXT_HEAD).keep_alive(io.lent.is_none());
    let answering = service_fn(|request: Request<Incoming>| {
        let under_way = seat.begin();
        let answer = TowerToHyperService::new(router.clone()).call(request);
        async move { answer.await.map(|answer| answer.map(|body| Answering { body, _under_way: under_way })) }
    });
    let connection = server.serve_connection(TokioIo::new(io), answering);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = needed(&seat) => {
            let (asked, _) = seat.asked();
            connection.as_mut().graceful_shutdown();
            // Of one that never asked nothing would be cut.
            if asked { last(connection).await } else { Ok(()) }
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            last(connection).await
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "a connection of the admin API ended badly");
    }
}

/// Resolves when the seat is to be left: nothing is asked in time, or it is needed and nothing is being answered. Cancel-safe.
async fn needed(seat: &Seat) {
    let first = tokio::time::sleep(FIRST_HEAD);
    tokio::pin!(first);
    loop {
        tokio::select! {
            () = seat.needed() => {}
            () = &mut first, if !first.is_elapsed() => if seat.asked().0 { continue },
        }
        match seat.asked() {
            (_, true) => seat.stay(),
            (_, false) => return,
        }
    }
}

/// Lets what is being answered go out for a moment, on a connection that takes no further request.
async fn last(connection: impl Future<Output = hyper::Result<()>>) -> hyper::Result<()> {
    tokio::time::timeout(LAST_ANSWER, connection).await.unwrap_or_else(|_| {
        debug!("an answer of the admin API was cut: it was not read in time");
        Ok(())
    })
}

/// The body of an answer, under way until it has gone out or is given up.
struct Answering {
    body: axum::body::Body,
    _under_way: UnderWay,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::{Mutex, mpsc};
    use tokio::time::{Instant, timeout};

    /// A listener whose clients are in this process.
    struct Local(Mutex<mpsc::Receiver<DuplexStream>>);

    impl Accept for Local {
        type Io = DuplexStream;

        async fn accept(&self) -> io::Result<(DuplexStream, Source)> {
            match self.0.lock().await.recv().await {
                Some(stream) => Ok((stream, Source::Local)),
                None => std::future::pending().await,
            }
        }
    }

    impl IntoDescriptor for DuplexStream {
        fn into_descriptor(self) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Serves for as long as `client` goes on, which connects by what it is given.
    async fn serving<F: Future>(client: impl FnOnce(mpsc::Sender<DuplexStream>) -> F) -> F::Output {
        let (clients, accepted) = mpsc::channel(128);
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "fine"));
        let serving = Serving {
            router,
            reserve: Reserve::new(16),
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            until: stop.clone(),
        };
        let listener = Local(Mutex::new(accepted));
        let client = async {
            let outcome = client(clients).await;
            stop.cancel();
            outcome
        };
        tokio::join!(accept_loop(&listener, serving), client).1
    }

    async fn connect(to: &mpsc::Sender<DuplexStream>) -> DuplexStream {
        let (ours, theirs) = duplex(4096);
        to.send(theirs).await.unwrap();
        ours
    }

    /// After how many seconds it is closed.
    async fn closed_after(mut stream: DuplexStream) -> u64 {
        let began = Instant::now();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(100), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
        began.elapsed().as_secs()
    }

    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn the_first_head_has_five_seconds_and_the_next_has_thirty() {
        serving(async |to| {
            assert_eq!(closed_after(connect(&to).await).await, 5);
            let mut slow = connect(&to).await;
            slow.write_all(&ASKED[..10]).await.unwrap();
            assert_eq!(closed_after(slow).await, 5, "a part of one is none");
            let mut kept = connect(&to).await;
            kept.write_all(ASKED).await.unwrap();
            assert_eq!(closed_after(kept).await, 30);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_at_once_is_answered_whoever_comes_with_it() {
        serving(async |to| {
            let mut asking = connect(&to).await;
            asking.write_all(ASKED).await.unwrap();
            // All at once, and as many as there are places for.
            let mut crowd = Vec::new();
            for _ in 0..MOST_CONNECTIONS {
                crowd.push(connect(&to).await);
            }
            let mut answer = [0; 12];
            asking.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
        })
        .await;
    }
}
