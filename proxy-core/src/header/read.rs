//! Reading a header from a stream, within a bound on its length and on the time that it takes.

use std::io;

use proxy_values::plural::count;
use tokio::time::Instant;

use super::{Decoded, Header, HeaderError, HeaderLimits, decode};
use crate::ahead::ReadAhead;
use crate::late::within;
use crate::stream::Stream;

/// Why no header was read from a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer closed or reset the connection before it sent a byte, as plain health checks do.
    #[error("the peer left before it sent a PROXY header")]
    Left,
    /// The peer closed its direction in the middle of a header.
    #[error("the peer closed after {} of a PROXY header", count(*.read, "byte", "bytes"))]
    Incomplete {
        /// Bytes that it had sent.
        read: u64,
    },
    /// The bytes are not a header within the limits.
    #[error(transparent)]
    Malformed(#[from] HeaderError),
    /// The header was not complete at the deadline.
    #[error("no whole PROXY header by the deadline; {} came", count(*.read, "byte", "bytes"))]
    Timeout {
        /// Bytes that had come by then.
        read: u64,
    },
    /// The peer reset the connection in the middle of a header, or a read failed.
    #[error("the connection failed after {} of a PROXY header: {source}", count(*.read, "byte", "bytes"))]
    Lost {
        /// Bytes that had come by then.
        read: u64,
        /// What the stream said.
        source: io::Error,
    },
}

impl ReadError {
    /// What a failed read is, of a peer of which `ahead` has been read.
    #[must_use]
    pub fn of(source: io::Error, ahead: &ReadAhead) -> Self {
        let read = ahead.total();
        if read == 0 && source.kind() == io::ErrorKind::ConnectionReset {
            Self::Left
        } else {
            Self::Lost { read, source }
        }
    }
}

/// Takes the header off the front of `ahead`, which holds everything that was read of the peer.
///
/// `Ok(None)`: it is not complete, and more may come. What follows the header stays in `ahead`.
///
/// # Errors
/// [`ReadError`] where it never will be complete: the bytes are no header, or the peer has ended its direction.
pub fn take(ahead: &mut ReadAhead, limits: &HeaderLimits) -> Result<Option<Header>, ReadError> {
    match decode(ahead.bytes(), limits)? {
        Some(Decoded { header, len }) => {
            ahead.consume(len);
            Ok(Some(header))
        }
        None if ahead.ended() && ahead.total() == 0 => Err(ReadError::Left),
        None if ahead.ended() => Err(ReadError::Incomplete { read: ahead.total() }),
        None => Ok(None),
    }
}

/// Reads the header that the peer of `stream` has to send first, by `deadline` (one for the whole header: bytes do not move
/// it) and within `limits`.
///
/// What the peer sent behind the header is in `ahead`, to be delivered. Where the thread was held up past the deadline, what
/// came in time still counts; see [`late`](crate::late).
///
/// Cancel-safe: what was read is in `ahead`, and another call goes on from there.
///
/// # Errors
/// [`ReadError`]. The connection should be closed: where the payload would start is not known. A peer that may not
/// speak for a client must not be read from like this at all: trust is the caller's decision, by the peer's address.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::time::Duration;
///
/// use proxy_core::header::{self, HeaderLimits};
/// use proxy_core::{Dial, Endpoint, Listen, ReadAhead, TcpDialer, TcpListener, stream};
/// use tokio::time::Instant;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let outer = TcpDialer::default().dial((&Endpoint::Ip(listener.local_addr()?)).into()).await?;
/// stream::write_all(&outer, b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\nhello").await?;
///
/// let (inner, _) = listener.accept().await?;
/// let (mut ahead, deadline) = (ReadAhead::default(), Instant::now() + Duration::from_secs(5));
/// let header = header::read(&inner, &mut ahead, &HeaderLimits::default(), deadline).await?;
/// assert_eq!(header.endpoints.source(), Some("192.0.2.7:52953".parse()?));
/// assert_eq!(ahead.bytes(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn read<S: Stream>(
    stream: &S,
    ahead: &mut ReadAhead,
    limits: &HeaderLimits,
    deadline: Instant,
) -> Result<Header, ReadError> {
    let reading = async {
        loop {
            if let Some(header) = take(ahead, limits)? {
                return Ok(header);
            }
            let room = limits.buffer_len().saturating_sub(ahead.bytes().len()).max(1);
            ahead.fill(stream, room).await.map_err(|error| ReadError::of(error, ahead))?;
        }
    };
    match within(deadline, stream, reading).await {
        Some(outcome) => outcome,
        None => Err(ReadError::Timeout { read: ahead.total() }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mem::{self, MemStream};
    use crate::stream::write_all;

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n";

    fn in_5s() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    async fn read_of(near: &MemStream, ahead: &mut ReadAhead) -> Result<Header, ReadError> {
        read(near, ahead, &HeaderLimits::default(), in_5s()).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_a_header_stays_to_be_delivered() {
        let (near, far) = mem::pair(1024);
        write_all(&far, &[LINE, b"payload"].concat()).await.unwrap();
        let mut ahead = ReadAhead::default();
        let header = read_of(&near, &mut ahead).await.unwrap();
        assert_eq!(header.endpoints.source(), Some("192.0.2.7:52953".parse().unwrap()));
        assert_eq!((ahead.bytes(), ahead.total()), (b"payload".as_slice(), LINE.len() as u64 + 7));
    }

    /// Just under the deadline passes, just over ends, however many bytes come meanwhile.
    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_for_the_whole_header() {
        for (pause, whole) in [(Duration::from_millis(110), true), (Duration::from_millis(120), false)] {
            let (near, far) = mem::pair(1024);
            let mut ahead = ReadAhead::default();
            let dripping = async {
                for byte in LINE {
                    write_all(&far, &[*byte]).await.unwrap();
                    tokio::time::sleep(pause).await;
                }
                std::future::pending::<()>().await;
            };
            let outcome = tokio::select! {
                outcome = read_of(&near, &mut ahead) => outcome,
                () = dripping => unreachable!(),
            };
            match outcome {
                Ok(_) => assert!(whole),
                Err(ReadError::Timeout { read }) => assert!(!whole && read == 42, "{read}"),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_is_dropped_loses_nothing() {
        let (near, far) = mem::pair(1024);
        let mut ahead = ReadAhead::default();
        for (n, byte) in LINE.iter().enumerate() {
            write_all(&far, &[*byte]).await.unwrap();
            let reading = tokio::time::timeout(Duration::from_millis(1), read_of(&near, &mut ahead)).await;
            assert_eq!(reading.is_ok(), n + 1 == LINE.len(), "byte {n}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_way_of_not_sending_one_has_a_name() {
        let outcome = async |sent: &[u8], fin: bool| {
            let (near, far) = mem::pair(1024);
            write_all(&far, sent).await.unwrap();
            if fin {
                far.finish();
            } else {
                drop(far);
            }
            read_of(&near, &mut ReadAhead::default()).await.unwrap_err()
        };
        assert!(matches!(outcome(b"", true).await, ReadError::Left));
        assert!(matches!(outcome(b"", false).await, ReadError::Left));
        assert!(matches!(outcome(b"PROXY", true).await, ReadError::Incomplete { read: 5 }));
        assert!(matches!(outcome(b"PROXY", false).await, ReadError::Lost { read: 5, .. }));
        assert!(matches!(outcome(b"GET / HTTP/1.1\r\n", true).await, ReadError::Malformed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_of_a_peer_than_the_limits_say() {
        let (near, far) = mem::pair(64 * 1024);
        let mut ahead = ReadAhead::default();
        let endless = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\x00".as_slice(), &[0; 5000]].concat();
        write_all(&far, &endless).await.unwrap();
        let limits = HeaderLimits::default().max_v2(512);
        let error = read(&near, &mut ahead, &limits, in_5s()).await.unwrap_err();
        assert!(matches!(error, ReadError::Malformed(_)), "{error}");
        assert!(ahead.bytes().len() <= limits.buffer_len());
    }
}
