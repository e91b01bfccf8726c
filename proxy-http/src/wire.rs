//! The two wires as hyper reads and writes them: every byte that comes from a client is framed before it is parsed, and every byte is
//! counted where it belongs.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use proxy_conn::ConnGuard;
use proxy_core::relay::Meter as _;
use proxy_core::{ReadAhead, Side, Stream, scratch};
use tokio::time::Instant;

use crate::talk::{Talk, again};

/// A client's stream, lent: its owner closes it.
pub(crate) struct ClientWire<'c, S> {
    pub(crate) conn: &'c ConnGuard,
    pub(crate) client: &'c S,
    pub(crate) talk: Arc<Talk>,
    /// What was read before.
    pub(crate) ahead: ReadAhead,
}

impl<S: Stream> Read for ClientWire<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let now = Instant::now();
        if self.talk.is_over() {
            return Poll::Ready(Ok(()));
        }
        let kept = self.ahead.bytes();
        if !kept.is_empty() {
            let some = kept.get(..kept.len().min(buf.remaining())).unwrap_or_default();
            let sound = self.talk.hears(some, now);
            buf.put_slice(some.get(..sound).unwrap_or_default());
            let some = some.len();
            self.ahead.consume(some);
            return Poll::Ready(Ok(()));
        }
        if self.ahead.ended() {
            self.talk.hears_the_end();
            return Poll::Ready(Ok(()));
        }
        scratch::with(|scratch| {
            let room = scratch.get_mut(..buf.remaining().min(scratch::SIZE)).unwrap_or_default();
            match self.client.poll_read(cx, room) {
                Poll::Ready(Ok(0)) => self.talk.hears_the_end(),
                Poll::Ready(Ok(n)) => {
                    let come = room.get(..n).unwrap_or_default();
                    self.conn.moved(Side::Client, n as u64, now);
                    let sound = self.talk.hears(come, now);
                    buf.put_slice(come.get(..sound).unwrap_or_default());
                }
                Poll::Ready(Err(error)) => {
                    self.talk.is_lost(&error);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    self.talk.waits_to_hear(now);
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl<S: Stream> Write for ClientWire<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        match self.client.poll_write(cx, buf) {
            Poll::Ready(Ok(n)) => {
                self.talk.is_taken();
                self.conn.moved(Side::Backend, n as u64, now);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => {
                self.talk.is_lost(&error);
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                self.talk.waits_to_be_taken(self.client, now);
                Poll::Pending
            }
        }
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing to do: whoever lends the stream ends it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A stream to a backend. Dropped, it resets, as any does.
pub(crate) struct BackendWire<B> {
    pub(crate) conn: Arc<ConnGuard>,
    pub(crate) stream: B,
    /// Whether the backend has ended, and what its stream failed with: hyper tells of that only where it is waited for.
    pub(crate) ended: bool,
    pub(crate) lost: Option<io::Error>,
}

impl<B: Stream + Unpin> Read for BackendWire<B> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        scratch::with(|scratch| {
            let room = scratch.get_mut(..buf.remaining().min(scratch::SIZE)).unwrap_or_default();
            let read = ready!(self.stream.poll_read(cx, room));
            let n = read.inspect_err(|error| self.lost = Some(again(error)))?;
            buf.put_slice(room.get(..n).unwrap_or_default());
            self.ended |= n == 0;
            self.has_moved(Side::Backend, n);
            Poll::Ready(Ok(()))
        })
    }
}

impl<B: Stream + Unpin> Write for BackendWire<B> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(self.stream.poll_write(cx, buf))?;
        self.has_moved(Side::Client, n);
        Poll::Ready(Ok(n))
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

impl<B> BackendWire<B> {
    fn has_moved(&self, from: Side, n: usize) {
        if n > 0 {
            self.conn.moved(from, n as u64, Instant::now());
        }
    }
}
