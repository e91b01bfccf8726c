//! Bytes that were read before the relay began.
//!
//! The PROXY header, the ClientHello and what a client sends while its backend is being dialled are all read ahead of
//! the relay. They stay here, in order: the header is consumed, the rest is replayed to the backend. Reading (rather than
//! peeking with `MSG_PEEK`) matters: unread bytes keep a socket readable, so waiting for *more* of them would spin.
//!
//! ```text
//! read from the client ─► [ consumed (header) | kept (hello, early data) ] ─► relay's first write
//! ```

use std::io;
use std::task::{Context, Poll, ready};

use crate::scratch;
use crate::stream::{Stream, gone};

/// Bytes read ahead from one stream, and whether its end has been read too.
///
/// It holds no memory until the first byte arrives.
#[derive(Debug, Default)]
pub struct ReadAhead {
    bytes: Vec<u8>,
    /// How many of `bytes` have been consumed.
    consumed: usize,
    /// Bytes read in all, consumed ones too.
    total: u64,
    /// Whether the peer's FIN has been read.
    ended: bool,
}

/// Bytes for which there is room at once, whenever there has to be more room.
const FEW: usize = 64;

/// How the client left while it was being watched.
#[derive(Debug)]
pub enum Left {
    /// It closed without having sent anything that is still to be delivered.
    Closed,
    /// It reset the connection, or the kernel gave it up, and said why.
    Reset(io::Error),
}

impl ReadAhead {
    /// The bytes that are kept, in order.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.consumed..).unwrap_or_default()
    }

    /// Whether the peer has ended its direction.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes read from the stream in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Drops the first `n` kept bytes (all of them if there are fewer).
    pub fn consume(&mut self, n: usize) {
        self.consumed = self.consumed.saturating_add(n).min(self.bytes.len());
    }

    /// Reads once, at most `limit` bytes: 0 at the end. Cancel-safe: what was read is kept here.
    ///
    /// # Errors
    /// What the stream says; a reset is an error.
    pub async fn fill<S: Stream>(&mut self, stream: &S, limit: usize) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx, stream, limit)).await
    }

    /// The same, as a poll.
    pub fn poll_fill<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &S,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        scratch::with(|buffer| {
            let room = buffer.get_mut(..limit.min(scratch::SIZE)).unwrap_or_default();
            let n = ready!(stream.poll_read(cx, room))?;
            self.keep(room.get(..n).unwrap_or_default(), limit);
            self.total += n as u64;
            self.ended |= n == 0;
            Poll::Ready(Ok(n))
        })
    }

    /// Keeps `new` bytes, of which there could have been `limit`.
    fn keep(&mut self, new: &[u8], limit: usize) {
        if self.bytes.capacity() - self.bytes.len() < new.len() {
            self.make_room(new.len(), limit);
        }
        self.bytes.extend_from_slice(new);
    }

    /// Makes room for `new` bytes: first for no more than have come, then for an eighth more, so that bytes which come one
    /// at a time are not moved for each; and never for more than there may be at the end, as doubling would.
    #[cold]
    fn make_room(&mut self, new: usize, limit: usize) {
        self.bytes.drain(..std::mem::take(&mut self.consumed));
        let kept = self.bytes.len();
        let more = if kept == 0 { new } else { new + (kept + new) / 8 + FEW };
        self.bytes.reserve_exact(more.min(limit.max(new)));
    }

    /// Watches a client while something else is waited for: keeps what it sends, up to `limit` kept bytes, then
    /// stops reading and watches for a reset only. Resolves only when the client has left. Cancel-safe.
    ///
    /// A client that sent something and ended (a half-close) has not left: it waits for its answer.
    pub async fn watch<S: Stream>(&mut self, stream: &S, limit: usize) -> Left {
        loop {
            let room = limit.saturating_sub(self.bytes().len());
            if self.ended && self.bytes().is_empty() {
                return Left::Closed;
            }
            if self.ended || room == 0 {
                return Left::Reset(gone(stream).await);
            }
            if let Err(error) = self.fill(stream, room).await {
                return Left::Reset(error);
            }
        }
    }

    /// The kept bytes, taken out, for the relay to send first.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.consumed);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem;
    use crate::stream::write_all;
    use std::time::Duration;

    const QUIET: Duration = Duration::from_secs(3600);

    async fn is_still_there(ahead: &mut ReadAhead, near: &mem::MemStream, limit: usize) -> bool {
        tokio::time::timeout(QUIET, ahead.watch(near, limit)).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_without_a_byte_has_left() {
        let (near, far) = mem::pair(1024);
        far.finish();
        assert!(matches!(ReadAhead::default().watch(&near, 64).await, Left::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_resets_has_left_even_behind_a_full_buffer() {
        let (near, far) = mem::pair(1024);
        let mut ahead = ReadAhead::default();
        write_all(&far, &[7; 100]).await.unwrap();
        assert!(is_still_there(&mut ahead, &near, 64).await);
        assert_eq!(ahead.bytes(), [7; 64], "kept up to the limit, and no further");
        drop(far);
        assert!(matches!(ahead.watch(&near, 64).await, Left::Reset(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sent_its_request_and_half_closed_is_still_there() {
        let (near, far) = mem::pair(1024);
        let mut ahead = ReadAhead::default();
        write_all(&far, b"request").await.unwrap();
        far.shutdown_write().unwrap();
        assert!(is_still_there(&mut ahead, &near, 64).await);
        assert!(ahead.ended());
        assert_eq!(ahead.into_bytes(), b"request");
    }

    /// A crowd of half-sent hellos costs what was sent, and not twice as much.
    #[tokio::test(start_paused = true)]
    async fn what_is_kept_takes_no_more_room_than_there_may_be() {
        const MOST: usize = 16 * 1024;
        for piece in [1, 7, 1000, 4096, MOST] {
            let (near, far) = mem::pair(MOST);
            let mut ahead = ReadAhead::default();
            write_all(&far, b"a header, which is consumed").await.unwrap();
            ahead.fill(&near, 4096).await.unwrap();
            ahead.consume(27);
            for _ in 0..MOST / piece {
                write_all(&far, &vec![7; piece]).await.unwrap();
                let limit = MOST - ahead.bytes().len();
                assert_eq!(ahead.fill(&near, limit).await.unwrap(), piece);
                let (kept, room) = (ahead.bytes().len(), ahead.bytes.capacity());
                assert!(room <= MOST.min(kept + kept / 8 + FEW), "{room} for {kept} in pieces of {piece}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumed_header_is_not_a_request() {
        let (near, far) = mem::pair(1024);
        let mut ahead = ReadAhead::default();
        write_all(&far, b"header").await.unwrap();
        ahead.fill(&near, 64).await.unwrap();
        ahead.consume(6);
        far.finish();
        assert!(matches!(ahead.watch(&near, 64).await, Left::Closed));
        assert_eq!(ahead.total(), 6);
    }
}
