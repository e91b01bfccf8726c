//! A stream with TLS spoken over it: the one that a relay has in place of a plain one.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use proxy_core::KeepAlive;
use proxy_core::stream::{Kernel, NoSplice, Stream};
use rustls::pki_types::CertificateDer;

use crate::agreed::Agreed;
use crate::error::truncated;
use crate::identity::Identity;
use crate::session::Session;
use crate::wire;

/// A stream over which TLS is spoken; made by [`accept`](crate::accept) and [`connect`](crate::connect). Dropping it resets the
/// connection.
///
/// Of a write that is pending the front may be in a record already: it is to be tried again with bytes that begin with the same
/// ones, as a relay does. What is [`Ready`](Poll::Ready) was taken by the socket.
pub struct TlsStream<S> {
    io: S,
    tls: Mutex<Box<Tls>>,
}

struct Tls {
    session: Session,
    /// How many of the caller's bytes are in what waits to be sent, and were not said to be written yet.
    taken: usize,
    /// Whether the peer's FIN was read.
    ended: bool,
    /// Whether that is an end like any other.
    lenient: bool,
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

impl<S> TlsStream<S> {
    pub(crate) fn new(io: S, session: Session) -> Self {
        Self { io, tls: Mutex::new(Box::new(Tls { session, taken: 0, ended: false, lenient: false })) }
    }

    /// The stream below. Bytes that were read of it and are not handed out yet are lost.
    pub(crate) fn into_inner(self) -> S {
        self.io
    }

    /// From now on a peer that ends without `close_notify` has ended its direction like any other, and nothing but
    /// [`was_truncated`](Self::was_truncated) says so.
    pub fn takes_truncated_for_ended(&mut self) {
        self.tls.get_mut().lenient = true;
    }

    /// Whether the peer has ended without `close_notify`.
    pub fn was_truncated(&self) -> bool {
        let tls = self.tls.lock();
        tls.ended && !tls.session.is_closed_by_peer()
    }

    /// What the handshake has agreed upon.
    #[must_use]
    pub fn agreed(&self) -> Agreed {
        Agreed::of(self.tls.lock().session.common())
    }

    /// Who the peer has proven to be: what its certificate says; None where it presented none.
    #[must_use]
    pub fn peer_identity(&self) -> Option<Identity> {
        let tls = self.tls.lock();
        Identity::of(tls.session.common().peer_certificates()?.first()?)
    }

    /// The certificates that the peer presented, its own first; none where none were asked for.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        self.tls.lock().session.common().peer_certificates().map(<[_]>::to_vec)
    }
}

impl<S: Stream> TlsStream<S> {
    /// Sends what is to go out before anything else, as far as the socket takes it.
    fn poll_send(&self, cx: &mut Context<'_>, tls: &mut Tls) -> Poll<io::Result<()>> {
        loop {
            let bytes = tls.session.to_send();
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(self.io.poll_write(cx, bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            tls.session.was_sent(n);
        }
    }

    /// Reads of the wire once, and works through it; how many decrypted bytes are in `buf`. `None` where nothing more comes.
    fn poll_feed(
        &self,
        cx: &mut Context<'_>,
        tls: &mut Tls,
        buf: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        wire::with(|wire| {
            let carried = tls.session.lay_before(wire);
            if carried >= wire.len() {
                // A message of a handshake in so many small records that even the largest one would have ended by now. Without
                // room a read would come to 0 bytes, which is an end.
                return Poll::Ready(Err(oversized()));
            }
            // No more than what its plain text has room for, but a record at least; and whole records behind a message that is
            // larger than one, or the rest of it would be read a byte at a time.
            let most = buf.len().max((carried + 1).next_multiple_of(wire::RECORD)).min(wire.len());
            let room = wire.get_mut(carried..most).unwrap_or_default();
            let read = self.io.poll_read(cx, room);
            let Poll::Ready(Ok(n @ 1..)) = read else {
                tls.session.carry(wire.get(..carried).unwrap_or_default());
                return read.map_ok(|_| None);
            };
            let come = wire.get_mut(..carried + n).unwrap_or_default();
            let filled = tls.session.feed(come, buf);
            Poll::Ready(filled.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
        })
    }

    /// Drives the handshake on. Ready when it is done. A server's tickets may be on their way still, and go with the next read or
    /// write: a client need not take them to go on.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tls = &mut **self.tls.lock();
        loop {
            let sent = self.poll_send(cx, tls)?;
            if tls.session.is_open() && (sent.is_ready() || tls.session.sends_tickets_alone()) {
                return Poll::Ready(Ok(()));
            }
            // Read also while there is no room to send: the peer may be waiting for room likewise.
            if ready!(self.poll_feed(cx, tls, &mut []))?.is_none() {
                return Poll::Ready(Err(truncated()));
            }
        }
    }

    /// Sends what is to go out, an alert mostly.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx, &mut self.tls.lock())
    }

    /// Works through what was read before there was a session.
    pub(crate) fn begin(&self) -> Result<(), rustls::Error> {
        self.tls.lock().session.begin()
    }

    /// Sends everything, and a `close_notify` behind it.
    fn poll_close_notify(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tls = &mut **self.tls.lock();
        tls.session.close()?;
        self.poll_send(cx, tls)
    }
}

fn oversized() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, rustls::Error::PeerSentOversizedRecord)
}

impl<S: Stream> Stream for TlsStream<S> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let tls = &mut **self.tls.lock();
        // What a pending write has begun is sent by the next; of an answer to a key update nobody knows. Where there is no room for
        // it yet it is tried again when there is, which wakes this task.
        if tls.taken == 0
            && let Poll::Ready(sent) = self.poll_send(cx, tls)
        {
            sent?;
        }
        let before = tls.session.take_plain(buf);
        if before > 0 || buf.is_empty() {
            return Poll::Ready(Ok(before));
        }
        loop {
            if tls.session.is_closed_by_peer() {
                return Poll::Ready(Ok(0));
            }
            if tls.ended {
                return Poll::Ready(if tls.lenient { Ok(0) } else { Err(truncated()) });
            }
            match ready!(self.poll_feed(cx, tls, buf))? {
                None => tls.ended = true,
                Some(0) => {}
                Some(n) => return Poll::Ready(Ok(n)),
            }
        }
    }

    fn look(&self) {
        self.io.look();
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let tls = &mut **self.tls.lock();
        ready!(self.poll_send(cx, tls))?;
        let before = std::mem::take(&mut tls.taken);
        if before > 0 || buf.is_empty() {
            return Poll::Ready(Ok(before.min(buf.len())));
        }
        let bytes = buf.get(..wire::PLAIN).unwrap_or(buf);
        let sent = wire::with(|wire| {
            let sealed = tls.session.encrypt(bytes, wire)?;
            let mut rest = wire.get(..sealed).unwrap_or_default();
            while !rest.is_empty() {
                match self.io.poll_write(cx, rest)? {
                    Poll::Ready(n) => rest = rest.get(n..).unwrap_or_default(),
                    Poll::Pending => {
                        tls.session.send_later(rest);
                        return Ok(false);
                    }
                }
            }
            io::Result::Ok(true)
        })?;
        if sent {
            return Poll::Ready(Ok(bytes.len()));
        }
        tls.taken = bytes.len();
        Poll::Pending
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_close_notify(cx))?;
        self.io.poll_shutdown(cx)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_close_notify(cx))?;
        self.io.poll_finish(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.io.poll_gone(cx)
    }

    fn finish(self) {
        self.io.finish();
    }
}

impl<S: Stream> Kernel for TlsStream<S> {
    type Splice = NoSplice;

    fn unacknowledged(&self) -> usize {
        self.io.unacknowledged() + self.tls.lock().session.to_send().len()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.io.local_addr()
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        self.io.keep_alive(keep_alive)
    }

    fn descriptor(&self) -> Option<RawFd> {
        self.io.descriptor()
    }
}
