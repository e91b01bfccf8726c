//! The stream seam: what the life of a connection needs of a byte stream, and no more.
//!
//! Behind it is a real socket ([`Socket`]), an in-memory one ([`mem`](crate::mem)) or a simulator's.
//! The rule that makes ends honest is part of the contract: **a stream that is dropped resets; only
//! [`finish`](Stream::finish) closes it in an orderly way.** So a task that is aborted, panics or is cancelled at any
//! `await` can never turn lost bytes into a clean end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use crate::options::KeepAlive;
use crate::socket::Socket;

/// A full-duplex byte stream with half-close and reset. Dropping it resets the connection.
///
/// All methods take `&self`: one task reads, writes and watches the same stream. At most one task may poll it.
pub trait Stream: Send + Sync + Sized {
    /// Reads into `buf`; `Ok(0)` is the peer's end (FIN). A reset is an error. Cancel-safe.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Makes the next read ask the kernel, whatever is known of the (connected) stream so far. For a caller that finds a deadline
    /// passed: a worker that was late does not know yet of what came in time. Does nothing where it asks anyway. Not the next
    /// write: a kernel keeps some room back until a third is free, so that it accepts bytes says nothing of the peer, and
    /// [`unacknowledged`](Self::unacknowledged) does.
    fn look(&self) {}

    /// Writes from `buf` as much as is accepted at once. Cancel-safe.
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Sends a FIN after what was written. The other direction stays open.
    ///
    /// # Errors
    /// Where the stream is already gone.
    fn shutdown_write(&self) -> io::Result<()>;

    /// Ready when the peer has reset the stream (or the kernel gave it up), also while it is not read from and unread bytes
    /// are waiting, with why: `TimedOut` where the peer vanished. Never ready for a FIN. Cancel-safe. It may be reported once
    /// only: do not poll again after it.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error>;

    /// Bytes that were written and that the peer has not acknowledged yet; 0 where that is unknown.
    fn unacknowledged(&self) -> usize;

    /// The local address, where the stream has one.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// Sets the kernel's keepalive and user timeout, where the stream has them.
    ///
    /// # Errors
    /// What the kernel says.
    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()>;

    /// The descriptor behind it, where it is a real socket: for an audit of tracked connections and open sockets.
    fn descriptor(&self) -> Option<RawFd>;

    /// The real socket that this stream is and nothing more, so that bytes may be spliced past this process.
    fn as_socket(&self) -> Option<&Socket> {
        None
    }

    /// Closes in an orderly way: for a stream whose both directions have ended, or whose own direction ends with this.
    fn finish(self);
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

/// Waits until the peer has reset the stream, as [`Stream::poll_gone`]; why it is gone. Cancel-safe.
pub async fn gone<S: Stream>(stream: &S) -> io::Error {
    std::future::poll_fn(|cx| stream.poll_gone(cx)).await
}
