//! A real socket, TCP or Unix, behind the stream seam.
//!
//! Reads and writes go straight to the kernel, and a transfer that did not fill (or drain) the buffer tells the reactor
//! that the socket is exhausted. That saves the second system call that would only return `EAGAIN`. It is done inside
//! `try_io`, which takes its snapshot of readiness before the call, so an event that arrives in between is not lost.
//!
//! One short read says nothing of the kind: one that stops at TCP's urgent mark, with more behind it and no event to come.
//! Urgent bytes are read in their place among the others (`SO_OOBINLINE`, which the listener and the dialler set), and go
//! on as ordinary ones.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::options::KeepAlive;
use crate::stream::Stream;

/// A connected TCP or Unix stream socket. Dropped, it resets (TCP) or closes (Unix); see [`Stream::finish`].
#[derive(Debug)]
pub struct Socket {
    kind: Kind,
    /// Whether dropping it sends a FIN rather than a RST.
    finished: bool,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self { kind: Kind::Tcp(stream), finished: false }
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { kind: Kind::Unix(stream), finished: false }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.as_fd(),
            Kind::Unix(unix) => unix.as_fd(),
        }
    }
}

impl Socket {
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        match (&self.kind, interest.is_readable()) {
            (Kind::Tcp(tcp), true) => tcp.poll_read_ready(cx),
            (Kind::Tcp(tcp), false) => tcp.poll_write_ready(cx),
            (Kind::Unix(unix), true) => unix.poll_read_ready(cx),
            (Kind::Unix(unix), false) => unix.poll_write_ready(cx),
        }
    }

    fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.try_io(interest, call),
            Kind::Unix(unix) => unix.try_io(interest, call),
        }
    }

    /// Whether a read stopped at an urgent byte. It is asked for reads that came short only, and takes no lock: cheaper
    /// than the read that would return `EAGAIN`.
    fn is_at_mark(&self) -> bool {
        matches!(&self.kind, Kind::Tcp(tcp) if crate::sys::at_urgent_mark(tcp.as_fd()))
    }

    /// Runs one transfer of up to `len` bytes when the socket is ready for `interest`.
    fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        len: usize,
        mut call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_ready(cx, interest))?;
            let mut moved = None;
            let outcome = self.try_io(interest, || {
                let n = call(self.as_fd())?;
                moved = Some(n);
                // A short transfer means that the kernel has no more (or takes no more): forget the readiness.
                // An end (0) is not a short transfer: it stays readable for ever.
                let drained = 0 < n && n < len && !(interest.is_readable() && self.is_at_mark());
                if drained { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (moved, outcome) {
                (Some(n), _) => return Poll::Ready(Ok(n)),
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                (None, Err(error)) => return Poll::Ready(Err(error)),
                (None, Ok(())) => return Poll::Ready(Ok(0)),
            }
        }
    }
}

impl Stream for Socket {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, Interest::READABLE, buf.len(), |fd| {
            rustix::net::recv(fd, &mut *buf, RecvFlags::empty()).map(|(n, _)| n)
        })
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, Interest::WRITABLE, buf.len(), |fd| {
            rustix::net::send(fd, buf, SendFlags::NOSIGNAL)
        })
    }

    fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(self).shutdown(std::net::Shutdown::Write)
    }

    fn gone(&self) -> Pin<Box<dyn Future<Output = io::Error> + Send + '_>> {
        // The reactor reports an error event (EPOLLERR) for a reset whatever was asked for, also behind unread bytes.
        Box::pin(async move {
            let failed = match &self.kind {
                Kind::Tcp(tcp) => tcp.ready(Interest::ERROR).await,
                Kind::Unix(unix) => unix.ready(Interest::ERROR).await,
            };
            // The reactor fails only when its runtime shuts down, and then this task goes too.
            if failed.is_err() {
                std::future::pending::<()>().await;
            }
            // The kernel tells it once: a read that comes after this sees an end, so whoever was told must remember.
            let told = SockRef::from(self).take_error().ok().flatten();
            told.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
        })
    }

    fn unacknowledged(&self) -> usize {
        crate::sys::unacknowledged(self.as_fd())
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.local_addr().ok(),
            Kind::Unix(_) => None,
        }
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        match &self.kind {
            Kind::Tcp(tcp) => keep_alive.apply(&SockRef::from(tcp)),
            Kind::Unix(_) => Ok(()),
        }
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.as_fd().as_raw_fd())
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let (Kind::Tcp(tcp), false) = (&self.kind, self.finished) {
            // It can only fail for a socket that the kernel has already given up, which then needs no reset.
            tcp.set_zero_linger().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{read, write_all};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn pair() -> (Socket, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the socket below the dialler")]
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (near.into(), far)
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
        let mut gone = near.gone();
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(50), &mut gone).await;
        assert!(quiet.is_err(), "a FIN is not a reset");
        far.set_zero_linger().unwrap();
        drop(far);
        // What Linux calls a reset that comes after a FIN.
        assert_eq!(gone.await.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_until_the_user_timeout_is_told_from_one_that_reset() {
        let (near, _far) = pair().await;
        SockRef::from(&near).set_tcp_user_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        let full = async { while write_all(&near, &[0; 65_536]).await.is_ok() {} };
        let error = tokio::select! {
            biased;
            error = near.gone() => error,
            () = full => unreachable!("a write fails only when the watch has been told"),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
