//! One end of a TCP connection, in the hands of a test: a client's, or a backend's.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
}

impl Wire {
    /// Connects. Whether that came to anything is told to whoever reads: a proxy may accept and reset before a client
    /// could look, and then that is what the client has received.
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = begin_to_connect(addr).expect("there is a descriptor");
        within(PATIENCE, stream.writable()).await.expect("the runtime runs");
        Self::noting(stream, Arc::default())
    }

    /// Whether a connect to `addr` is refused.
    pub async fn is_refused(addr: SocketAddr) -> bool {
        let connected = within(PATIENCE, dial(addr)).await;
        connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    pub(crate) fn noting(stream: TcpStream, notes: Arc<Mutex<Received>>) -> Self {
        stream.set_nodelay(true).expect("it is a TCP socket");
        Self { stream, notes }
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
        let sent = within(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        // The kernel tells of a reset once, and then it is an end like any other to whoever reads.
        if sent.as_ref().is_err_and(is_reset) {
            self.notes().end = Some(Ending::Reset);
        }
        sent
    }

    /// Sends `bytes` one at a time.
    pub async fn send_byte_by_byte(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]).await;
            tokio::task::yield_now().await;
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
        if self.notes().end.is_some() {
            return Vec::new();
        }
        let mut buffer = vec![0; 16 * 1024];
        let (n, end) = match within(PATIENCE, self.stream.read(&mut buffer)).await {
            Ok(0) => (0, Some(Ending::Fin)),
            Ok(n) => (n, None),
            Err(error) if is_reset(&error) => (0, Some(Ending::Reset)),
            Err(error) => panic!("neither bytes nor an end: {error}"),
        };
        buffer.truncate(n);
        let mut notes = self.notes();
        notes.bytes.extend_from_slice(&buffer);
        notes.end = end;
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

    /// Everything received so far.
    #[must_use]
    pub fn received(&self) -> Received {
        self.notes().clone()
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// A socket that is connecting.
#[expect(clippy::disallowed_methods, reason = "a test's client is no proxy; its caller bounds it")]
fn begin_to_connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), None)?;
    match socket.connect(&addr.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        Ok(()) | Err(_) => TcpStream::from_std(socket.into()),
    }
}

/// Connects, for those who want to know how it went.
#[expect(clippy::disallowed_methods, reason = "a test's client is no proxy; its caller bounds it")]
pub(crate) async fn dial(addr: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(addr).await
}
