//! The stream seam: what the life of a connection needs of a byte stream, and no more.
//!
//! Behind it is a real socket ([`Socket`](crate::Socket)), an in-memory one (`mem`, with the feature `test-util`), a
//! simulator's, or something that is spoken over one of those. What only the kernel's socket below it knows is a trait of its
//! own, [`Kernel`], whose answers are those of a stream that has none.
//! The rule that makes ends honest is part of the contract: **a stream that is dropped resets; only
//! [`finish`](Stream::finish) closes it in an orderly way.** So a task that is aborted, panics or is cancelled at any
//! `await` can never turn lost bytes into a clean end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use crate::options::KeepAlive;

pub use crate::pipe::{NoSplice, Pipe, Splice};

/// A full-duplex byte stream with half-close and reset. Dropping it resets the connection.
///
/// All methods take `&self`: one task reads, writes and watches the same stream. At most one task may poll it.
pub trait Stream: Kernel + Send + Sync + Sized {
    /// Reads into `buf`; `Ok(0)` is the peer's end (FIN). A reset is an error. Cancel-safe.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Makes the next read ask the kernel, whatever is known of the (connected) stream so far. For a caller that finds a deadline
    /// passed: a worker that was late does not know yet of what came in time. Does nothing where it asks anyway. Not the next
    /// write: a kernel keeps some room back until a third is free, so that it accepts bytes says nothing of the peer, and
    /// [`Kernel::unacknowledged`] does.
    fn look(&self) {}

    /// Writes from `buf` as much as is accepted at once. Cancel-safe.
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends this direction (FIN) after what was written; the other one stays open. Ready when the end is on its way: a plain
    /// socket's always is, and one that has something to write before it (a `close_notify`) may have to wait for room. Asked
    /// until it is ready, and not again. Cancel-safe.
    ///
    /// # Errors
    /// Where the stream is already gone.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes what has to go out before the end where the end itself goes out with [`finish`](Self::finish), because nothing is
    /// expected from the peer either. As [`poll_shutdown`](Self::poll_shutdown); ready at once where there is nothing but the FIN.
    ///
    /// # Errors
    /// Where the stream is already gone.
    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Ready when the peer has reset the stream (or the kernel gave it up), also while it is not read from and unread bytes
    /// are waiting, with why: `TimedOut` where the peer vanished. Never ready for a FIN. Cancel-safe. It may be reported once
    /// only: do not poll again after it.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error>;

    /// Closes in an orderly way, at once: for a stream whose own direction has been ended ([`poll_shutdown`](Self::poll_shutdown)),
    /// or ends with this after [`poll_finish`](Self::poll_finish).
    fn finish(self);
}

/// What only the kernel's socket below a stream knows. The answers that are given here are those of a stream that has none; one
/// that is spoken over another passes on what is true of it, too.
pub trait Kernel {
    /// What its bytes are spliced through; [`NoSplice`] where the stream's bytes are not those of a socket.
    type Splice: Splice;

    /// The socket that this stream is and nothing more, so that bytes may be spliced past this process.
    fn as_splice(&self) -> Option<&Self::Splice> {
        None
    }

    /// Bytes that were written and that the peer has not acknowledged yet; 0 where that is unknown.
    fn unacknowledged(&self) -> usize {
        0
    }

    /// The local address, where the stream has one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Sets the kernel's keepalive and user timeout, where the stream has them.
    ///
    /// # Errors
    /// What the kernel says.
    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        let _ = keep_alive;
        Ok(())
    }

    /// The descriptor behind it, where it is a real socket: for an audit of tracked connections and open sockets.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }
}

/// Reads once into `buf`, as [`Stream::poll_read`]. Cancel-safe.
///
/// # Errors
/// What the stream says; a reset is an error.
pub async fn read<S: Stream>(stream: &S, buf: &mut [u8]) -> io::Result<usize> {
    std::future::poll_fn(|cx| stream.poll_read(cx, buf)).await
}

/// Writes all of `buf`. Not cancel-safe: how much was written is lost with the future.
///
/// # Errors
/// What the stream says, and `WriteZero` where it accepts nothing.
pub async fn write_all<S: Stream>(stream: &S, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        let n = std::future::poll_fn(|cx| stream.poll_write(cx, buf)).await?;
        buf = buf.get(n..).filter(|_| n > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    Ok(())
}

/// Ends this direction, as [`Stream::poll_shutdown`]. Cancel-safe.
///
/// # Errors
/// Where the stream is already gone.
pub async fn shutdown<S: Stream>(stream: &S) -> io::Result<()> {
    std::future::poll_fn(|cx| stream.poll_shutdown(cx)).await
}

/// Ends this direction and closes the stream in an orderly way. Dropped before it is done, the stream is reset, as it is where
/// this fails.
///
/// # Errors
/// Where the stream is already gone.
pub async fn finish<S: Stream>(stream: S) -> io::Result<()> {
    std::future::poll_fn(|cx| stream.poll_finish(cx)).await?;
    stream.finish();
    Ok(())
}

/// Waits until the peer has reset the stream, as [`Stream::poll_gone`]; why it is gone. Cancel-safe.
pub async fn gone<S: Stream>(stream: &S) -> io::Error {
    std::future::poll_fn(|cx| stream.poll_gone(cx)).await
}

/// A stream that is lent: what is spoken over one may take it for its own, while its owner keeps it and closes it.
#[derive(Debug)]
pub struct Lent<'a, S>(pub &'a S);

impl<S: Stream> Stream for Lent<'_, S> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }

    fn look(&self) {
        self.0.look();
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_finish(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.0.poll_gone(cx)
    }

    /// Nothing to do: the owner of the stream finishes it.
    fn finish(self) {}
}

impl<S: Stream> Kernel for Lent<'_, S> {
    type Splice = S::Splice;

    fn as_splice(&self) -> Option<&Self::Splice> {
        self.0.as_splice()
    }

    fn unacknowledged(&self) -> usize {
        self.0.unacknowledged()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr()
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        self.0.keep_alive(keep_alive)
    }

    fn descriptor(&self) -> Option<RawFd> {
        self.0.descriptor()
    }
}
