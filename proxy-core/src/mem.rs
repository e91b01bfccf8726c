//! Streams in memory, with the ends of real sockets: FIN, RST, half-close, backpressure, and a network to dial them in.
//!
//! For tests on a paused clock, ours and other people's: real sockets do not go with a clock that jumps when all is quiet.
//! A pipe's bytes count as received by the peer's kernel: they can be read after a reset, as on Linux.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::addr::{ClientAddr, Endpoint, PeerAddr};
use crate::dial::{Destination, Dial};
use crate::egress::{EgressError, Source};
use crate::listen::Listen;
use crate::stream::{Kernel, NoSplice, Stream};

/// One end of an in-memory connection. Dropped, it resets; see [`Stream::finish`].
#[derive(Debug)]
pub struct MemStream {
    wire: Arc<Mutex<Wire>>,
    /// Which end this is: the index of its own direction.
    end: usize,
    finished: bool,
    local: Option<SocketAddr>,
}

#[derive(Debug)]
struct Wire {
    /// `ways[n]` carries what end `n` writes.
    ways: [Way; 2],
    /// The end that reset, if any has.
    reset_by: Option<usize>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// The writer has ended this direction.
    fin: bool,
    /// The writer's end is closed altogether.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Whoever waits for a reset by this way's writer.
    watcher: Option<Waker>,
}

/// A connected pair whose every direction holds up to `capacity` unread bytes.
#[must_use]
pub fn pair(capacity: usize) -> (MemStream, MemStream) {
    let wire =
        Arc::new(Mutex::new(Wire { ways: [Way::default(), Way::default()], reset_by: None, capacity }));
    let end = |end| MemStream { wire: Arc::clone(&wire), end, finished: false, local: None };
    (end(0), end(1))
}

impl Wire {
    /// Runs `f` on this end's own way and on the peer's.
    fn split(&mut self, end: usize) -> (&mut Way, &mut Way) {
        let [first, second] = &mut self.ways;
        if end == 0 { (first, second) } else { (second, first) }
    }

    fn reset(&mut self, by: usize) {
        self.reset_by.get_or_insert(by);
        self.wake_all();
    }

    fn wake_all(&mut self) {
        for way in &mut self.ways {
            for waker in [way.reader.take(), way.writer.take(), way.watcher.take()].into_iter().flatten() {
                waker.wake();
            }
        }
    }
}

impl Stream for MemStream {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock();
        let reset = wire.reset_by.is_some();
        let (_, theirs) = wire.split(self.end);
        let n = buf.len().min(theirs.bytes.len());
        if n > 0 {
            for (slot, byte) in buf.iter_mut().zip(theirs.bytes.drain(..n)) {
                *slot = byte;
            }
            if let Some(writer) = theirs.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Ok(n));
        }
        match (reset, theirs.fin) {
            (true, _) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            (false, true) => Poll::Ready(Ok(0)),
            (false, false) => {
                theirs.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock();
        let (reset, capacity) = (wire.reset_by.is_some(), wire.capacity);
        let (ours, theirs) = wire.split(self.end);
        if reset || ours.fin {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if theirs.closed {
            // As a kernel does: the bytes are accepted, and the answer to them is a reset.
            wire.reset(1 - self.end);
            return Poll::Ready(Ok(buf.len()));
        }
        let n = buf.len().min(capacity.saturating_sub(ours.bytes.len()));
        if n == 0 {
            ours.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ours.bytes.extend(buf.iter().take(n));
        if let Some(reader) = ours.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(n))
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut wire = self.wire.lock();
        if wire.reset_by.is_some() {
            return Poll::Ready(io::ErrorKind::ConnectionReset.into());
        }
        let (_, theirs) = wire.split(self.end);
        theirs.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Kernel for MemStream {
    type Splice = NoSplice;

    fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl MemStream {
    /// Ends this direction after what was written: an end in memory never waits.
    ///
    /// # Errors
    /// Where it has been reset.
    pub fn shutdown_write(&self) -> io::Result<()> {
        let mut wire = self.wire.lock();
        if wire.reset_by.is_some() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let (ours, _) = wire.split(self.end);
        ours.fin = true;
        if let Some(reader) = ours.reader.take() {
            reader.wake();
        }
        Ok(())
    }
}

impl Drop for MemStream {
    fn drop(&mut self) {
        let mut wire = self.wire.lock();
        let (ours, theirs) = wire.split(self.end);
        (ours.fin, ours.closed) = (true, true);
        // As a kernel does: closing over unread bytes resets too.
        if self.finished && theirs.bytes.is_empty() {
            wire.wake_all();
        } else {
            wire.reset(self.end);
        }
    }
}

/// How many connections wait for a [`MemListener`] to accept them; further dials wait, as with a full backlog.
const BACKLOG: usize = 16;

/// A network of in-memory listeners. Clones are the same network. An address nobody listens on refuses.
#[derive(Debug, Clone, Default)]
pub struct MemNet {
    ports: Arc<Mutex<HashMap<Endpoint, mpsc::Sender<Incoming>>>>,
}

type Incoming = (MemStream, PeerAddr);

/// A listener of a [`MemNet`]. One that is never asked to accept becomes a black hole once its backlog is full;
/// see [`MemNet::black_hole`].
#[derive(Debug)]
pub struct MemListener {
    incoming: tokio::sync::Mutex<mpsc::Receiver<Incoming>>,
}

/// An address at which dials neither succeed nor fail, for as long as it is kept.
#[derive(Debug)]
pub struct BlackHole {
    _listener: MemListener,
    _queued: Vec<mpsc::OwnedPermit<Incoming>>,
}

impl MemNet {
    /// Listens on `addr`, in the place of a listener that had it before.
    #[must_use]
    pub fn listen(&self, addr: SocketAddr) -> MemListener {
        let (sender, incoming) = mpsc::channel(BACKLOG);
        self.ports.lock().insert(Endpoint::Ip(addr), sender);
        MemListener { incoming: tokio::sync::Mutex::new(incoming) }
    }

    /// Makes `addr` an address where dials hang.
    #[must_use]
    pub fn black_hole(&self, addr: SocketAddr) -> BlackHole {
        let listener = self.listen(addr);
        let sender = self.ports.lock().get(&Endpoint::Ip(addr)).cloned();
        let permits = (0..BACKLOG).filter_map(|_| sender.clone()?.try_reserve_owned().ok());
        BlackHole { _listener: listener, _queued: permits.collect() }
    }

    /// Connects to `endpoint` as `from`.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody listens.
    pub async fn connect(&self, from: SocketAddr, endpoint: &Endpoint) -> io::Result<MemStream> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let sender = self.ports.lock().get(endpoint).cloned().ok_or_else(refused)?;
        let slot = sender.reserve().await.map_err(|_| refused())?;
        let (mut near, mut far) = pair(64 * 1024);
        near.local = Some(from);
        far.local = match endpoint {
            Endpoint::Ip(addr) => Some(*addr),
            Endpoint::Unix(_) => None,
        };
        slot.send((far, PeerAddr::new(from)));
        Ok(near)
    }
}

impl Dial for MemNet {
    type Stream = MemStream;

    /// From the address that the destination says, without a look at whose it is; else from 127.0.0.1.
    async fn dial(&self, to: Destination<'_>) -> io::Result<MemStream> {
        let source = to.egress.map(|egress| &egress.source);
        let from = match (source, to.endpoint) {
            (Some(Source::Pool(_) | Source::Client), Endpoint::Unix(_)) => {
                return Err(EgressError::Unix.into());
            }
            (Some(Source::Pool(pool)), Endpoint::Ip(to)) => {
                Some(pool.next(to.ip()).ok_or(EgressError::NoneOfFamily(*to))?)
            }
            (Some(Source::Client), _) => to.client.map(ClientAddr::ip),
            (Some(Source::Auto) | None, _) => None,
        };
        let from = from.unwrap_or([127, 0, 0, 1].into());
        self.connect((from, 40_000).into(), to.endpoint).await
    }
}

impl Listen for MemListener {
    type Stream = MemStream;

    async fn accept(&self) -> io::Result<(MemStream, PeerAddr)> {
        self.incoming.lock().await.recv().await.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{gone, read, write_all};

    #[tokio::test]
    async fn bytes_then_fin_arrive_in_order() {
        let (near, far) = pair(4);
        write_all(&near, b"abcd").await.unwrap();
        near.shutdown_write().unwrap();
        let mut buf = [0; 8];
        assert_eq!(read(&far, &mut buf).await.unwrap(), 4);
        assert_eq!(read(&far, &mut buf).await.unwrap(), 0);
        write_all(&far, b"ok").await.unwrap();
        assert_eq!(read(&near, &mut buf).await.unwrap(), 2, "the other direction is still open");
    }

    #[tokio::test]
    async fn a_full_pipe_waits_for_its_reader() {
        let (near, far) = pair(4);
        let mut write = tokio_test::task::spawn(write_all(&near, b"abcdef"));
        tokio_test::assert_pending!(write.poll());
        assert_eq!(read(&far, &mut [0; 3]).await.unwrap(), 3);
        assert!(write.is_woken());
        tokio_test::assert_ready_ok!(write.poll());
    }

    #[tokio::test]
    async fn a_reset_comes_after_the_bytes_that_arrived() {
        let (near, far) = pair(16);
        write_all(&near, b"last").await.unwrap();
        drop(near);
        let mut buf = [0; 8];
        assert_eq!(read(&far, &mut buf).await.unwrap(), 4);
        assert_eq!(read(&far, &mut buf).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        gone(&far).await;
    }

    #[tokio::test]
    async fn closing_over_unread_bytes_resets_and_writing_to_a_closed_end_is_answered_by_a_reset() {
        let (near, far) = pair(16);
        write_all(&near, b"unread").await.unwrap();
        far.finish();
        gone(&near).await;
        let (near, far) = pair(16);
        far.finish();
        assert_eq!(read(&near, &mut [0; 8]).await.unwrap(), 0);
        write_all(&near, b"too late").await.unwrap();
        gone(&near).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_network_accepts_refuses_and_hangs() {
        let net = MemNet::default();
        let (open, closed, hole) =
            (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into(), ([127, 0, 0, 1], 3).into());
        let listener = net.listen(open);
        let _hole = net.black_hole(hole);
        let _near = net.dial((&Endpoint::Ip(open)).into()).await.unwrap();
        listener.accept().await.unwrap();
        let error = net.dial((&Endpoint::Ip(closed)).into()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let hole = Endpoint::Ip(hole);
        let hang = tokio::time::timeout(std::time::Duration::from_secs(3600), net.dial((&hole).into()));
        assert!(hang.await.is_err());
    }
}
