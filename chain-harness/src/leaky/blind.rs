//! A stream that tells nobody what its kernel knows.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use proxy_core::stream::{Kernel, NoSplice};
use proxy_core::{KeepAlive, Stream};

/// Another stream, but for what its peer has acknowledged and for looks past the reactor.
pub(super) struct Blind<'s, S>(pub(super) &'s S);

impl<S: Stream> Stream for Blind<'_, S> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
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

/// What is unacknowledged is not passed on.
impl<S: Stream> Kernel for Blind<'_, S> {
    type Splice = NoSplice;

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
