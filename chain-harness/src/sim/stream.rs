//! The seams of the product over a simulated host's sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use proxy_core::egress::EgressError;
use proxy_core::stream::{self, Kernel as _, NoSplice};
use proxy_core::{Bound, Destination, Dial, Endpoint, KeepAlive, Listen, PeerAddr, Probes, Source, Stream};

use tokio::time::Instant;

use super::conn::Conn;
use super::kernel::{Kernel, Key};

/// A simulated TCP connection. Dropped, it resets; see [`Stream::finish`].
#[derive(Debug)]
pub struct SimStream {
    kernel: Arc<Kernel>,
    key: Key,
    finished: bool,
    /// A planted fault: a reset by the peer looks like its end.
    hides_resets: bool,
}

/// A simulated listening socket.
#[derive(Debug)]
pub struct SimListener {
    kernel: Arc<Kernel>,
    port: u16,
    keep_alive: KeepAlive,
}

/// The way from a simulated host to others.
#[derive(Debug, Clone)]
pub struct SimNet {
    kernel: Arc<Kernel>,
    hides_resets: bool,
}

impl SimNet {
    /// The way out of the host that has `kernel`.
    #[must_use]
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self { kernel, hides_resets: false }
    }

    /// The same with a planted fault: what resets a connection that was dialled looks like its end.
    #[must_use]
    pub fn hiding_resets(self) -> Self {
        Self { hides_resets: true, ..self }
    }

    /// Listens on `port`; sockets that it accepts are kept alive as `keep_alive` says.
    ///
    /// # Errors
    /// `AddrInUse` where somebody else does.
    pub fn listen(&self, port: u16, keep_alive: KeepAlive) -> io::Result<SimListener> {
        self.kernel.listen(port, 1024)?;
        Ok(SimListener { kernel: Arc::clone(&self.kernel), port, keep_alive })
    }

    /// Makes `port` one where dials hang, for as long as the result is kept.
    ///
    /// # Errors
    /// `AddrInUse` where somebody listens.
    pub fn black_hole(&self, port: u16) -> io::Result<SimListener> {
        self.kernel.listen(port, 0)?;
        Ok(SimListener { kernel: Arc::clone(&self.kernel), port, keep_alive: KeepAlive::default() })
    }

    /// Connects to `remote`, from `port` or one that is free. Cancel-safe: a dropped future closes what it opened.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody listens, `AddrInUse` where `port` is connected to `remote` already.
    pub async fn connect(
        &self,
        port: Option<u16>,
        remote: SocketAddr,
        keep_alive: KeepAlive,
    ) -> io::Result<SimStream> {
        let key = self.kernel.connect(port, remote, keep_alive)?;
        let (kernel, hides_resets) = (Arc::clone(&self.kernel), self.hides_resets);
        let stream = SimStream { kernel, key, finished: false, hides_resets };
        std::future::poll_fn(|cx| stream.poll(|conn, _, _| conn.poll_opened(cx))).await?;
        Ok(stream)
    }
}

/// What a socket has before anybody has set its keepalive: none, as good as.
const UNSET: KeepAlive =
    KeepAlive::DEFAULT.idle(Bound::MAX).interval(Bound::MAX).count(Probes::new(9)).user_timeout(Bound::MAX);

impl Dial for SimNet {
    type Stream = SimStream;

    /// A simulated host has one address, so a source has to be that.
    async fn dial(&self, to: Destination<'_>) -> io::Result<SimStream> {
        let Endpoint::Ip(addr) = to.endpoint else { return Err(io::ErrorKind::Unsupported.into()) };
        let source = match (to.egress.map(|egress| &egress.source), to.client) {
            (Some(Source::Pool(pool)), _) => {
                Some(pool.next(addr.ip()).ok_or(EgressError::NoneOfFamily(*addr))?)
            }
            (Some(Source::Client), Some(client)) => Some(client.ip()),
            _ => None,
        };
        if let Some(source) = source.filter(|source| *source != self.kernel.ip()) {
            return Err(EgressError::NotLocal(source).into());
        }
        self.connect(None, *addr, UNSET).await
    }
}

impl Listen for SimListener {
    type Stream = SimStream;

    async fn accept(&self) -> io::Result<(SimStream, PeerAddr)> {
        let key = std::future::poll_fn(|cx| self.kernel.poll_accept(cx, self.port)).await;
        let kernel = Arc::clone(&self.kernel);
        let stream = SimStream { kernel, key, finished: false, hides_resets: false };
        stream.keep_alive(&self.keep_alive)?;
        Ok((stream, PeerAddr::new(key.1)))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.kernel.unlisten(self.port);
    }
}

impl SimStream {
    fn poll<R>(
        &self,
        f: impl FnOnce(
            &mut Conn,
            tokio::time::Instant,
            &mut Vec<super::segment::Says>,
        ) -> Poll<Result<R, io::ErrorKind>>,
    ) -> Poll<io::Result<R>> {
        self.kernel.panic_if_asked();
        match self.kernel.with(self.key, f) {
            Some(polled) => Poll::Ready(ready!(polled).map_err(io::Error::from)),
            // INVARIANT: a connection that is owned is in its kernel.
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Goes without a word: whatever the peer says from now on, nobody answers.
    pub fn vanish(self) {
        self.kernel.vanish(self.key);
    }

    /// When a byte last arrived here, and when one from here was last acknowledged.
    pub(super) fn life(&self) -> (Option<Instant>, Option<Instant>) {
        self.kernel.with(self.key, |conn, _, _| conn.life()).unwrap_or_default()
    }

    /// Ends this direction after what was written: a simulated end never waits.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        let ended = self.kernel.with(self.key, Conn::end);
        Ok(ended.unwrap_or(Err(io::ErrorKind::NotConnected))?)
    }

    /// The other end.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.key.1
    }
}

impl Stream for SimStream {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match ready!(self.poll(|conn, _, says| conn.poll_read(cx, buf, says))) {
            Err(_) if self.hides_resets => Poll::Ready(Ok(0)),
            read => Poll::Ready(read),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|conn, now, says| conn.poll_write(cx, buf, now, says))
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.hides_resets {
            return Poll::Pending;
        }
        match ready!(self.poll(|conn, _, _| conn.poll_gone(cx).map(Ok))) {
            Ok(why) => Poll::Ready(why.into()),
            Err(error) => Poll::Ready(error),
        }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

/// The simulated host's kernel knows what any does, and has no descriptors.
impl stream::Kernel for SimStream {
    type Splice = NoSplice;

    fn unacknowledged(&self) -> usize {
        self.kernel.with(self.key, |conn, _, _| conn.unacknowledged()).unwrap_or(0)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        let ip: Ipv4Addr = self.kernel.ip();
        Some((ip, self.key.0).into())
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        let keep_alive = *keep_alive;
        self.kernel.with(self.key, |conn, _, _| conn.set_keep_alive(keep_alive));
        Ok(())
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.kernel.close(self.key, self.finished);
    }
}
