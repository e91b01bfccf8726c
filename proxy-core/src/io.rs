//! The bridge from [`Stream`] to tokio's `AsyncRead` and `AsyncWrite`, for what is written against those: HTTP, TLS, codecs.
//!
//! hyper's own traits are one more step, `hyper_util::rt::TokioIo::new(Io::new(stream))`: that crate has the bridge from tokio's to
//! them, so there is none here and no dependency on hyper.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// A stream as tokio's traits want it. Dropped, it resets, unless both its directions have ended or it was made
/// [`orderly`](Self::orderly). One task at a time may poll it, as with any [`Stream`].
#[derive(Debug)]
pub struct Io<S: Stream> {
    /// None only once it has been taken out.
    stream: Option<S>,
    /// Whether its own direction has ended, and the peer's.
    ended: [bool; 2],
    orderly: bool,
}

impl<S: Stream> Io<S> {
    /// A stream that has read and written nothing yet, or whose ends are still to come.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self { stream: Some(stream), ended: [false; 2], orderly: false }
    }

    /// The same. Dropped, it closes in an orderly way wherever it is: for protocols that say themselves where a message ends, so
    /// that none that was cut can be taken for a whole one.
    #[must_use]
    pub const fn orderly(stream: S) -> Self {
        Self { stream: Some(stream), ended: [false; 2], orderly: true }
    }

    /// The stream; what becomes of it is its owner's affair again.
    ///
    /// # Errors
    /// Never: there is one until it is dropped.
    pub fn into_inner(mut self) -> io::Result<S> {
        self.stream.take().ok_or_else(gone)
    }

    /// The stream, to ask it for what is no reading or writing.
    ///
    /// # Errors
    /// Never: there is one until it is dropped.
    pub fn stream(&self) -> io::Result<&S> {
        self.stream.as_ref().ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S: Stream> Drop for Io<S> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take()
            && (self.orderly || self.ended == [true; 2])
        {
            stream.finish();
        }
    }
}

impl<S: Stream + Unpin> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A read of nothing would be an end.
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let n = ready!(self.stream()?.poll_read(cx, buf.initialize_unfilled()))?;
        buf.advance(n);
        let [_, theirs] = &mut self.ended;
        *theirs |= n == 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream + Unpin> AsyncWrite for Io<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this direction. Asked again, it has ended.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended == [true, false] || self.ended == [true; 2] {
            return Poll::Ready(Ok(()));
        }
        ready!(self.stream()?.poll_shutdown(cx))?;
        let [ours, _] = &mut self.ended;
        *ours = true;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem;
    use crate::stream::{read, write_all};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What the far end reads once `io` has been dropped.
    async fn after_a_drop(io: Io<mem::MemStream>, far: mem::MemStream) -> io::Result<usize> {
        drop(io);
        read(&far, &mut [0; 8]).await
    }

    #[tokio::test]
    async fn bytes_and_ends_go_both_ways() {
        let (near, far) = mem::pair(16);
        let mut io = Io::new(near);
        let far_side = async {
            write_all(&far, b"an answer").await.unwrap();
            far.shutdown_write().unwrap();
            let mut buf = [0; 16];
            let mut all = Vec::new();
            while let n @ 1.. = read(&far, &mut buf).await.unwrap() {
                all.extend_from_slice(&buf[..n]);
            }
            all
        };
        let near_side = async {
            io.write_all(b"a request").await.unwrap();
            io.shutdown().await.unwrap();
            io.shutdown().await.unwrap();
            let mut answer = Vec::new();
            io.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let (sent, got) = tokio::join!(far_side, near_side);
        assert_eq!((&sent[..], &got[..]), (&b"a request"[..], &b"an answer"[..]));
        assert_eq!(after_a_drop(io, far).await.unwrap(), 0, "both have ended");
    }

    #[tokio::test]
    async fn one_that_is_dropped_in_the_middle_resets_and_an_orderly_one_does_not() {
        let (near, far) = mem::pair(64);
        let error = after_a_drop(Io::new(near), far).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let (near, far) = mem::pair(64);
        let mut io = Io::new(near);
        io.shutdown().await.unwrap();
        drop(io);
        assert_eq!(read(&far, &mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let (near, far) = mem::pair(64);
        assert_eq!(after_a_drop(Io::orderly(near), far).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_read_of_nothing_is_no_end() {
        let (near, far) = mem::pair(64);
        let mut io = Io::new(near);
        assert_eq!(io.read(&mut []).await.unwrap(), 0);
        io.shutdown().await.unwrap();
        let error = after_a_drop(io, far).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "the peer has not ended");
    }
}
