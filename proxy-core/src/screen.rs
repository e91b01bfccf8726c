//! Catches a PROXY header from a peer that is not trusted to send one.
//!
//! Where some peers of a listener must send a header and others must not, one from the others would be a forged client
//! address to a backend that believes headers from this proxy. On a port whose clients may wait for the backend to speak
//! first nothing can be waited for, so the first bytes are looked at whenever they come, and passed on at once for as long as
//! they are no header yet: a client may say "PR" and wait for an answer. So of a header a backend gets the front of its
//! signature at most, and then a reset.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;

use crate::header::{Prefix, could_be_header};
use crate::options::KeepAlive;
use crate::stream::{Kernel, NoSplice, Stream};

/// A borrowed stream whose first bytes must not be a PROXY header: reading one is an error of kind `InvalidData`.
///
#[derive(Debug)]
pub struct Screened<'a, S> {
    stream: &'a S,
    first: Mutex<First>,
}

/// The first bytes.
#[derive(Debug)]
enum First {
    /// They may still become a header: these, at most eleven, were read and passed on.
    Undecided(Vec<u8>),
    /// They are none.
    Harmless,
    /// They are one. A relay reads on after an error, to deliver what is left, and must not get past it.
    Header,
}

impl<'a, S: Stream> Screened<'a, S> {
    /// Screens what is read from `stream` after `first`: bytes that were read before, and may become a header.
    #[must_use]
    pub const fn new(stream: &'a S, first: Vec<u8>) -> Self {
        Self { stream, first: Mutex::new(First::Undecided(first)) }
    }
}

/// Whether a read failed because it met a PROXY header that must not be there.
#[must_use]
pub fn is_forbidden_header(error: &io::Error) -> bool {
    // Without anything said: a stream below may have data of its own that is invalid.
    error.kind() == io::ErrorKind::InvalidData && error.get_ref().is_none()
}

impl<S: Stream> Stream for Screened<'_, S> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut first = self.first.lock();
        let seen = match &mut *first {
            First::Harmless => return self.stream.poll_read(cx, buf),
            First::Header => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            First::Undecided(seen) => seen,
        };
        let n = ready!(self.stream.poll_read(cx, buf))?;
        seen.extend_from_slice(buf.get(..n).unwrap_or_default());
        match could_be_header(seen) {
            Prefix::Yes => {
                *first = First::Header;
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            Prefix::Partial if n > 0 => {}
            Prefix::Partial | Prefix::No => *first = First::Harmless,
        }
        Poll::Ready(Ok(n))
    }

    fn look(&self) {
        self.stream.look();
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_finish(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.stream.poll_gone(cx)
    }

    /// Nothing to do: the owner of the stream finishes it.
    fn finish(self) {}
}

/// Its bytes have to be looked at, so they are not spliced.
impl<S: Stream> Kernel for Screened<'_, S> {
    type Splice = NoSplice;

    fn unacknowledged(&self) -> usize {
        self.stream.unacknowledged()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr()
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        self.stream.keep_alive(keep_alive)
    }

    fn descriptor(&self) -> Option<RawFd> {
        self.stream.descriptor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem;
    use crate::stream::{read, write_all};

    /// What is read through a screen when `parts` arrive one at a time.
    async fn screened(parts: &[&[u8]]) -> io::Result<Vec<u8>> {
        let (near, far) = mem::pair(1024);
        let screen = Screened::new(&near, Vec::new());
        let (mut all, mut buf) = (Vec::new(), [0; 256]);
        let send = async {
            for part in parts {
                write_all(&far, part).await.unwrap();
                tokio::task::yield_now().await;
            }
            far.shutdown_write().unwrap();
        };
        let receive = async {
            loop {
                match read(&screen, &mut buf).await? {
                    0 => return Ok(all),
                    n => all.extend_from_slice(&buf[..n]),
                }
            }
        };
        tokio::join!(receive, send).0
    }

    #[tokio::test]
    async fn other_bytes_pass_whole_however_they_arrive() {
        for text in [&b"GET / HTTP/1.1"[..], b"PROXIED", b"P", b"", b"\r\n\r\n\0\r\nQUIZ"] {
            let bytes: Vec<_> = text.chunks(1).collect();
            assert_eq!(screened(&bytes).await.unwrap(), text);
            assert_eq!(screened(&[text, b" and more"]).await.unwrap(), [text, b" and more"].concat());
        }
    }

    /// Whoever waits for an answer to it gets one.
    #[tokio::test]
    async fn what_may_become_a_header_is_passed_on_at_once() {
        for text in [&b"P"[..], b"PR", b"\r\n\r\n"] {
            let (near, far) = mem::pair(1024);
            let screen = Screened::new(&near, Vec::new());
            let mut buf = [0; 256];
            write_all(&far, text).await.unwrap();
            assert_eq!(read(&screen, &mut buf).await.unwrap(), text.len());
            assert!(buf.starts_with(text));
        }
    }

    /// A backend gets the front of a signature at most.
    #[tokio::test]
    async fn of_a_header_in_pieces_its_signature_is_never_whole() {
        for header in [&b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11"] {
            let (near, far) = mem::pair(1024);
            let screen = Screened::new(&near, header[..2].to_vec());
            let (mut passed, mut buf) = (header[..2].to_vec(), [0; 256]);
            for part in header[2..].chunks(1) {
                write_all(&far, part).await.unwrap();
                match read(&screen, &mut buf).await {
                    Ok(n) => passed.extend_from_slice(&buf[..n]),
                    Err(error) => assert!(is_forbidden_header(&error)),
                }
            }
            assert_eq!(could_be_header(&passed), Prefix::Partial);
        }
    }

    #[tokio::test]
    async fn a_header_is_an_error_however_it_arrives() {
        for header in [&b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11"] {
            let bytes: Vec<_> = header.chunks(1).collect();
            assert!(is_forbidden_header(&screened(&bytes).await.unwrap_err()));
            assert!(is_forbidden_header(&screened(&[header]).await.unwrap_err()));
        }
        let of_a_stream_below = io::Error::new(io::ErrorKind::InvalidData, "a record is broken");
        assert!(!is_forbidden_header(&of_a_stream_below));
    }

    #[tokio::test]
    async fn whoever_reads_on_after_a_header_gets_nothing_of_it() {
        for header in [&b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11"] {
            let (near, far) = mem::pair(1024);
            let screen = Screened::new(&near, Vec::new());
            let (mut refused, mut buf) = (false, [0; 256]);
            for part in header.chunks(1) {
                write_all(&far, part).await.unwrap();
                match read(&screen, &mut buf).await {
                    Ok(_) => assert!(!refused),
                    Err(error) => refused = is_forbidden_header(&error),
                }
            }
            far.shutdown_write().unwrap();
            assert!(is_forbidden_header(&read(&screen, &mut buf).await.unwrap_err()), "not even its end");
        }
    }

    #[tokio::test]
    async fn nothing_is_written_late_for_a_client_that_waits() {
        let (near, far) = mem::pair(1024);
        let screen = Screened::new(&near, Vec::new());
        write_all(&screen, b"banner").await.unwrap();
        assert_eq!(read(&far, &mut [0; 16]).await.unwrap(), 6);
    }
}
