//! A side of a connection that may have TLS or not, where the other one has.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use proxy_core::KeepAlive;
use proxy_core::stream::{Kernel, NoSplice, Stream};

use crate::stream::TlsStream;

/// A plain stream, or one with TLS. Its bytes are not spliced either way: those of the other side are not a socket's.
#[derive(Debug)]
pub enum MaybeTls<S> {
    /// Without.
    Plain(S),
    /// With.
    Tls(TlsStream<S>),
}

impl<S: Stream> Stream for MaybeTls<S> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, buf),
            Self::Tls(stream) => stream.poll_read(cx, buf),
        }
    }

    fn look(&self) {
        match self {
            Self::Plain(stream) => stream.look(),
            Self::Tls(stream) => stream.look(),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write(cx, buf),
            Self::Tls(stream) => stream.poll_write(cx, buf),
        }
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_shutdown(cx),
            Self::Tls(stream) => stream.poll_shutdown(cx),
        }
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_finish(cx),
            Self::Tls(stream) => stream.poll_finish(cx),
        }
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self {
            Self::Plain(stream) => stream.poll_gone(cx),
            Self::Tls(stream) => stream.poll_gone(cx),
        }
    }

    fn finish(self) {
        match self {
            Self::Plain(stream) => stream.finish(),
            Self::Tls(stream) => stream.finish(),
        }
    }
}

impl<S: Stream> Kernel for MaybeTls<S> {
    type Splice = NoSplice;

    fn unacknowledged(&self) -> usize {
        match self {
            Self::Plain(stream) => stream.unacknowledged(),
            Self::Tls(stream) => stream.unacknowledged(),
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.local_addr(),
        }
    }

    fn keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.keep_alive(keep_alive),
            Self::Tls(stream) => stream.keep_alive(keep_alive),
        }
    }

    fn descriptor(&self) -> Option<RawFd> {
        match self {
            Self::Plain(stream) => stream.descriptor(),
            Self::Tls(stream) => stream.descriptor(),
        }
    }
}
