//! A real socket, TCP or Unix, behind the stream seam.
//!
//! Reads and writes go straight to the kernel, and a transfer that did not fill (or drain) the buffer tells the reactor
//! that the socket is exhausted. That saves the second system call that would only return `EAGAIN`. What the reactor knows
//! is held meanwhile, so an event that arrives in between is not lost.
//!
//! Some short reads say nothing of the kind: one that stops at TCP's urgent mark, with more behind it and no event to come,
//! and any of a Unix socket (which stops behind a passed descriptor, too), so that one is always looked at twice.
//! So sockets are registered for urgent data too, and once there has been any, reads that came short are looked at twice.
//! Urgent bytes are read in their place among the others (`SO_OOBINLINE`, which the listener and the dialler set), and go
//! on as ordinary ones.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;

use crate::options::KeepAlive;
use crate::pipe::{Pipe, Splice, is_refusal};
use crate::reactor::{self, Event, Place, State};
use crate::stream::{Kernel, Stream};
use crate::sys::at_urgent_mark;

/// A connected TCP or Unix stream socket. Dropped, it resets (TCP) or closes (Unix); see [`Stream::finish`].
///
/// Those from the listener and the dialler reset however they go, also when the process is killed: it is how they are made,
/// and only [`finish`](Stream::finish) changes it. Nobody takes what a dead proxy had delivered so far for the whole.
#[derive(Debug)]
pub struct Socket {
    /// Before the descriptor: the reactor lets go of it while it is open.
    place: Place,
    fd: OwnedFd,
    kind: Kind,
    /// Whether dropping it sends a FIN rather than a RST.
    finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Unix,
}

/// Hands a connected TCP socket that does not block to this thread's runtime.
impl TryFrom<std::net::TcpStream> for Socket {
    type Error = io::Error;

    fn try_from(stream: std::net::TcpStream) -> io::Result<Self> {
        Self::tcp(stream.into())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// A connected TCP socket that does not block.
    ///
    /// # Errors
    /// Outside of a runtime, and where its reactor has no room for it.
    pub(crate) fn tcp(fd: OwnedFd) -> io::Result<Self> {
        Self::new(fd, Kind::Tcp)
    }

    /// A TCP socket that was just accepted, and does not block. Most clients speak first and have done so by now: it is read
    /// from at once, which costs those who wait for the backend's word one call, and saves the others a turn.
    ///
    /// # Errors
    /// Outside of a runtime, and where its reactor has no room for it.
    pub(crate) fn accepted(fd: OwnedFd) -> io::Result<Self> {
        let socket = Self::tcp(fd)?;
        socket.place.lock().suppose(Event::INPUT);
        Ok(socket)
    }

    /// A TCP socket that does not block and has begun to connect to `addr`. On loopback the handshake is over when the call
    /// to connect returns, although that says it is not; it costs one call to see, and saves a turn.
    ///
    /// # Errors
    /// Outside of a runtime, and where its reactor has no room for it.
    pub(crate) fn connecting(fd: OwnedFd, addr: SocketAddr) -> io::Result<Self> {
        let is_connected = addr.ip().is_loopback() && rustix::net::getpeername(&fd).is_ok();
        let socket = Self::tcp(fd)?;
        if is_connected {
            socket.place.lock().suppose(Event::ROOM);
        }
        Ok(socket)
    }

    /// A connected Unix socket that does not block.
    ///
    /// # Errors
    /// Outside of a runtime, and where its reactor has no room for it.
    pub(crate) fn unix(fd: OwnedFd) -> io::Result<Self> {
        Self::new(fd, Kind::Unix)
    }

    fn new(fd: OwnedFd, kind: Kind) -> io::Result<Self> {
        Ok(Self { place: reactor::register(&fd)?, fd, kind, finished: false })
    }

    /// Waits until a connect that is in progress has come to something. Cancel-safe: dropped before, the socket resets
    /// whatever the kernel has made of it.
    ///
    /// # Errors
    /// Why it failed.
    pub(crate) async fn connected(&self) -> io::Result<()> {
        let broken = std::future::poll_fn(|cx| {
            let mut state = self.place.lock();
            if state.has(Event::WRITABLE) {
                return Poll::Ready(state.has(Event::ERROR));
            }
            state.wait_for(Event::WRITABLE, cx);
            Poll::Pending
        });
        if broken.await {
            return Err(SockRef::from(self)
                .take_error()?
                .unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
        }
        Ok(())
    }

    /// As though no reactor had had its turn since it was made.
    #[cfg(test)]
    pub(crate) fn forget_what_is_known(&self) {
        self.place.lock().would_block(Event::WRITABLE);
    }

    /// Whether urgent data has ever been announced on it.
    fn has_urgent(&self, state: &State) -> bool {
        self.kind == Kind::Tcp && state.has(Event::URGENT)
    }

    /// Whether a read that came short took all there was. Not where it stopped at an urgent byte. And a Unix socket's says
    /// nothing: it stops behind a passed descriptor and at an urgent byte, and no event tells of either.
    fn is_drained_by_a_short_read(&self, state: &State) -> bool {
        match self.kind {
            Kind::Tcp => !(self.has_urgent(state) && at_urgent_mark(self.as_fd())),
            Kind::Unix => false,
        }
    }

    /// Runs one transfer when `event` has happened. `call` says how much it moved, and whether the kernel has no more now
    /// (or takes no more).
    fn poll_transfer<N>(
        &self,
        cx: &mut Context<'_>,
        event: Event,
        mut call: impl FnMut(BorrowedFd<'_>, &State) -> rustix::io::Result<(N, bool)>,
    ) -> Poll<io::Result<N>> {
        let mut state = self.place.lock();
        while state.has(event) {
            match call(self.fd.as_fd(), &state) {
                Ok((moved, exhausted)) => {
                    if exhausted {
                        state.exhausted(event);
                    }
                    return Poll::Ready(Ok(moved));
                }
                Err(Errno::AGAIN) => state.would_block(event),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        state.wait_for(event, cx);
        Poll::Pending
    }

    /// Sends a FIN after what was written: a socket's end never waits.
    ///
    /// # Errors
    /// Where it is already gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(self).shutdown(std::net::Shutdown::Write)
    }
}

impl Stream for Socket {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, Event::READABLE, |fd, state| {
            let (n, _) = rustix::net::recv(fd, &mut *buf, RecvFlags::empty())?;
            // An end (0) is not a short read: it stays readable for ever.
            Ok((n, 0 < n && n < buf.len() && self.is_drained_by_a_short_read(state)))
        })
    }

    fn look(&self) {
        self.place.lock().suppose(Event::INPUT);
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, Event::WRITABLE, |fd, _| {
            let n = rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?;
            Ok((n, n < buf.len()))
        })
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut state = self.place.lock();
        // The kernel reports an error event (EPOLLERR) for a reset whatever was asked for, also behind unread bytes.
        if !state.has(Event::ERROR) {
            state.wait_for(Event::ERROR, cx);
            return Poll::Pending;
        }
        // The kernel tells it once: a read that comes after this sees an end, so whoever was told must remember.
        let told = SockRef::from(self).take_error().ok().flatten();
        Poll::Ready(told.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()))
    }

    fn finish(mut self) {
        if self.kind == Kind::Tcp {
            // It can only fail for a socket that the kernel has already given up.
            SockRef::from(&self).set_linger(None).unwrap_or_default();
        }
        self.finished = true;
    }
}

impl Kernel for Socket {
    type Splice = Self;

    fn unacknowledged(&self) -> usize {
        crate::sys::unacknowledged(self.as_fd())
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        SockRef::from(self).local_addr().ok()?.as_socket()
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        match self.kind {
            Kind::Tcp => keep_alive.apply(&SockRef::from(self)),
            Kind::Unix => Ok(()),
        }
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.as_fd().as_raw_fd())
    }

    fn as_splice(&self) -> Option<&Self> {
        Some(self)
    }
}

impl Splice for Socket {
    /// Moves what has come into `pipe`, which is empty, so that `EAGAIN` can only mean that nothing has; 0 is the peer's
    /// end, and None says that it has to be read instead, because there was urgent data, past which the kernel never
    /// splices, or because it does not splice here (a sandbox).
    /// Cancel-safe.
    fn poll_splice_into(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<Option<usize>>> {
        self.poll_transfer(cx, Event::READABLE, |fd, state| {
            if self.has_urgent(state) {
                return Ok((None, false));
            }
            match pipe.fill(fd) {
                Err(error) if is_refusal(error) => Ok((None, false)),
                filled => filled.map(|n| (Some(n), false)),
            }
        })
    }

    /// Sends from `pipe`, which is not empty, as much as is accepted at once; None says that its bytes have to be written
    /// instead, because the kernel does not splice here. Cancel-safe.
    fn poll_splice_from(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<Option<usize>>> {
        self.poll_transfer(cx, Event::WRITABLE, |fd, _| match pipe.drain(fd) {
            Err(error) if is_refusal(error) => Ok((None, false)),
            drained => drained.map(|n| (Some(n), false)),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.kind == Kind::Tcp && !self.finished {
            // It can only fail for a socket that the kernel has already given up, which then needs no reset.
            SockRef::from(&*self).set_linger(Some(std::time::Duration::ZERO)).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{gone, read, write_all};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn pair() -> (Socket, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the socket below the dialler")]
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (near.into_std().unwrap().try_into().unwrap(), far)
    }

    #[tokio::test]
    async fn moves_bytes_both_ways_and_sees_the_end() {
        let (near, mut far) = pair().await;
        far.write_all(b"hello").await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(read(&near, &mut buf).await.unwrap(), 5);
        write_all(&near, b"world").await.unwrap();
        near.shutdown_write().unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"world");
        drop(far);
        assert_eq!(read(&near, &mut buf).await.unwrap(), 0);
        assert_eq!(read(&near, &mut buf).await.unwrap(), 0, "an end stays an end");
    }

    #[tokio::test]
    async fn urgent_bytes_keep_their_place_and_what_is_behind_them_does_not_wait_for_more() {
        for inline in [true, false] {
            let (near, far) = pair().await;
            SockRef::from(&near).set_out_of_band_inline(inline).unwrap();
            SockRef::from(&far).send(b"abc").unwrap();
            SockRef::from(&far).send_out_of_band(b"!").unwrap();
            SockRef::from(&far).send(b"def").unwrap();
            let expected: &[u8] = if inline { b"abc!def" } else { b"abcdef" };
            let (mut got, mut buf) = (Vec::new(), [0; 64]);
            while got.len() < expected.len() {
                let reading = tokio::time::timeout(std::time::Duration::from_secs(5), read(&near, &mut buf));
                let n = reading.await.expect("a lost wake-up").unwrap();
                got.extend_from_slice(&buf[..n]);
            }
            assert_eq!(got, expected);
        }
    }

    #[tokio::test]
    async fn urgent_data_that_comes_just_before_a_splice_is_left_to_be_read() {
        let (near, far) = pair().await;
        SockRef::from(&near).set_out_of_band_inline(true).unwrap();
        SockRef::from(&far).send_out_of_band(b"!").unwrap();
        SockRef::from(&far).send(b"def").unwrap();
        let mut pipe = Pipe::borrow().unwrap();
        let spliced = std::future::poll_fn(|cx| near.poll_splice_into(cx, &mut pipe));
        let spliced = tokio::time::timeout(std::time::Duration::from_secs(5), spliced).await;
        assert_eq!(spliced.expect("its readiness is lost").unwrap(), None);
        assert_eq!(read(&near, &mut [0; 8]).await.unwrap(), 4);
    }

    /// A worker that was stopped: its reactor knows nothing yet of what came meanwhile.
    #[tokio::test]
    async fn a_look_reads_what_nobody_has_told_of_yet() {
        let (near, far) = pair().await;
        let mut buf = [0; 64];
        let mut reading = tokio_test::task::spawn(read(&near, &mut buf));
        tokio_test::assert_pending!(reading.poll());
        // Nothing is awaited from here on, so no reactor has its turn.
        SockRef::from(&far).send(b"in time").unwrap();
        tokio_test::assert_pending!(reading.poll(), "the kernel is not asked without a reason");
        near.look();
        assert_eq!(tokio_test::assert_ready!(reading.poll()).unwrap(), 7);
        near.look();
        drop(reading);
        let mut reading = tokio_test::task::spawn(read(&near, &mut buf));
        tokio_test::assert_pending!(reading.poll(), "a look in vain is no end");
    }

    #[tokio::test]
    async fn a_drop_resets_and_a_finish_does_not() {
        let (near, mut far) = pair().await;
        drop(near);
        assert_eq!(far.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let (near, mut far) = pair().await;
        near.finish();
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_reset_is_noticed_behind_unread_bytes_and_a_fin_is_not() {
        let (near, mut far) = pair().await;
        far.write_all(b"unread").await.unwrap();
        far.shutdown().await.unwrap();
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(50), gone(&near)).await;
        assert!(quiet.is_err(), "a FIN is not a reset");
        far.set_zero_linger().unwrap();
        drop(far);
        // What Linux calls a reset that comes after a FIN.
        assert_eq!(gone(&near).await.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_until_the_user_timeout_is_told_from_one_that_reset() {
        let (near, _far) = pair().await;
        SockRef::from(&near).set_tcp_user_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        let full = async { while write_all(&near, &[0; 65_536]).await.is_ok() {} };
        let error = tokio::select! {
            biased;
            error = gone(&near) => error,
            () = full => unreachable!("a write fails only when the watch has been told"),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
