//! One end of a TCP connection, in the hands of a test: a client's, or a backend's.

mod bytes;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::wait::{PATIENCE, within};

/// How the other side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It sent a FIN.
    Fin,
    /// It reset.
    Reset,
}

/// What was received, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// Every byte so far.
    pub bytes: Vec<u8>,
    /// How the other side ended; None while it has not.
    pub end: Option<Ending>,
}

impl Received {
    /// The bytes as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Whether there is not a byte and the other side reset.
    #[must_use]
    pub fn is_only_a_reset(&self) -> bool {
        self.bytes.is_empty() && self.end == Some(Ending::Reset)
    }
}

/// One end of a TCP connection. What it reads is also noted where the [`Backend`](crate::Backend) can show it.
///
/// Dropped, it closes as any socket does: with a FIN, or a reset where bytes are unread.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    notes: Arc<Mutex<Received>>,
    sent: u64,
    /// What the kernel has taken of this and others.
    in_all: Arc<AtomicU64>,
}

impl Wire {
    /// Connects. Whether that came to anything is told to whoever reads: a proxy may accept and reset before a client
    /// could look, and then that is what the client has received.
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::connect_with(|_| Ok(()), addr).await
    }

    /// Connects from `source`; port 0 is any. The port may be one that was just used: only a live connection of the same
    /// four numbers, or one that this side ended first, is in its way.
    pub async fn connect_from(source: SocketAddr, addr: SocketAddr) -> Self {
        let from = |socket: &Socket| {
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())
        };
        Self::connect_with(from, addr).await
    }

    /// Connects with room for `bytes` that nobody has read, or what the kernel makes of that (twice as much, and some).
    pub async fn connect_with_room_for(bytes: usize, addr: SocketAddr) -> Self {
        Self::connect_with(|socket| socket.set_recv_buffer_size(bytes), addr).await
    }

    async fn connect_with(prepare: impl FnOnce(&Socket) -> io::Result<()>, addr: SocketAddr) -> Self {
        Self::on(begin_to_connect(prepare, addr).expect("the address is ours, and free")).await
    }

    /// On a socket that connects already, perhaps in another network namespace.
    pub(crate) async fn on(socket: Socket) -> Self {
        let stream = TcpStream::from_std(socket.into()).expect("a runtime is there");
        within(PATIENCE, stream.writable()).await.expect("the runtime runs");
        Self::noting(stream, Arc::default(), Arc::default())
    }

    /// The same, for those who want to know how it went.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn try_connect_from(source: SocketAddr, addr: SocketAddr) -> io::Result<Self> {
        let from = |socket: &Socket| {
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())
        };
        let wire = Self::on(begin_to_connect(from, addr)?).await;
        wire.stream.take_error()?.map_or(Ok(wire), Err)
    }

    /// Whether a connect to `addr` is refused.
    pub async fn is_refused(addr: SocketAddr) -> bool {
        let connected = within(PATIENCE, dial(addr)).await;
        connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Notes what is received in `notes`, and counts what the kernel has taken to send `in_all`.
    pub(crate) fn noting(stream: TcpStream, notes: Arc<Mutex<Received>>, in_all: Arc<AtomicU64>) -> Self {
        stream.set_nodelay(true).expect("it is a TCP socket");
        Self { stream, notes, sent: 0, in_all }
    }

    /// This end's address: who the other side should see.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other side takes it");
    }

    /// Sends all of `bytes`, to somebody who may have gone.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(PATIENCE, self.write_all(bytes.as_ref())).await
    }

    /// Sends `bytes` one at a time.
    pub async fn send_byte_by_byte(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    /// Sends `bytes` one at a time with a pause before each, to somebody who may lose patience: until they end, which is
    /// heard at once.
    pub async fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        for byte in bytes.as_ref() {
            let ended = tokio::time::timeout(pause, self.read_some()).await.is_ok_and(|said| said.is_empty());
            if ended || self.try_send([*byte]).await.is_err() {
                return;
            }
        }
    }

    /// Sends a FIN. The other direction stays open.
    pub async fn half_close(&mut self) {
        // It fails only where the other side has reset, which whoever reads next is told.
        self.stream.shutdown().await.unwrap_or_default();
    }

    /// Resets.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("it is a TCP socket");
    }

    /// Reads once: nothing where the other side has ended, either way. Cancel-safe.
    pub async fn read_some(&mut self) -> Vec<u8> {
        self.read_at_most(16 * 1024).await
    }

    /// Reads once, no more than `most` bytes. Cancel-safe.
    pub async fn read_at_most(&mut self, most: usize) -> Vec<u8> {
        if self.notes().end.is_some() {
            return Vec::new();
        }
        within(PATIENCE, self.read_at_last(most)).await
    }

    /// Reads to the end, however long it takes.
    pub(crate) async fn read_for_ever(&mut self) {
        while self.notes().end.is_none() {
            self.read_at_last(16 * 1024).await;
        }
    }

    async fn read_at_last(&mut self, most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        let n = match self.read(&mut buffer).await {
            Ok(n) => n,
            Err(error) if is_reset(&error) => 0,
            Err(error) => panic!("neither bytes nor an end: {error}"),
        };
        buffer.truncate(n);
        buffer
    }

    /// Everything received since the start, once `enough` of it is there or the other side has ended.
    pub async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Received {
        while !self.has(&enough) && !self.read_some().await.is_empty() {}
        self.received()
    }

    fn notes(&self) -> MutexGuard<'_, Received> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, enough: impl Fn(&[u8]) -> bool) -> bool {
        enough(&self.notes().bytes)
    }

    /// Everything received since the start, once the other side has ended.
    pub async fn read_to_end(&mut self) -> Received {
        self.read_until(|_| false).await
    }

    /// Reads until `text` has come, and nothing else.
    pub async fn expect(&mut self, text: &str) {
        let received = self.read_until(|bytes| bytes.len() >= text.len()).await;
        assert_eq!((received.text().as_str(), received.end), (text, None));
    }

    /// Reads nothing until the other side has reset.
    pub async fn wait_for_a_reset(&mut self) {
        // A reset that has been read is told to nobody again.
        if self.notes().end == Some(Ending::Reset) {
            return;
        }
        // The reactor reports it also behind unread bytes. It fails only where its runtime ends.
        within(PATIENCE, self.stream.ready(Interest::ERROR)).await.expect("the runtime runs");
        self.notes().end = Some(Ending::Reset);
    }

    /// How many bytes the kernel has taken to send.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Everything received so far.
    #[must_use]
    pub fn received(&self) -> Received {
        self.notes().clone()
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// A socket that is connecting, `prepare`d before.
#[expect(clippy::disallowed_methods, reason = "a test's client is no proxy; its caller bounds it")]
pub(crate) fn begin_to_connect(
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
    addr: SocketAddr,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), None)?;
    prepare(&socket)?;
    match socket.connect(&addr.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(socket),
    }
}

/// Connects, for those who want to know how it went.
#[expect(clippy::disallowed_methods, reason = "a test's client is no proxy; its caller bounds it")]
pub(crate) async fn dial(addr: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(addr).await
}
