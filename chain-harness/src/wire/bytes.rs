//! A wire as a stream of bytes, for what is spoken over it. Here everything that comes and goes is noted.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Ending, Wire, is_reset};

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The kernel tells of a reset once, and from then on of an end like any other.
        match self.notes().end {
            Some(Ending::Fin) => return Poll::Ready(Ok(())),
            Some(Ending::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {}
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let bytes = buf.filled().get(before..).unwrap_or_default();
        let mut notes = self.notes();
        notes.bytes.extend_from_slice(bytes);
        notes.end = match &read {
            Ok(()) => bytes.is_empty().then_some(Ending::Fin),
            Err(error) => is_reset(error).then_some(Ending::Reset),
        };
        drop(notes);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        match &written {
            Ok(n) => {
                self.sent += *n as u64;
                self.in_all.fetch_add(*n as u64, Ordering::Relaxed);
            }
            // Whoever reads would be told of an end like any other.
            Err(error) if is_reset(error) => self.notes().end = Some(Ending::Reset),
            Err(_) => {}
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
