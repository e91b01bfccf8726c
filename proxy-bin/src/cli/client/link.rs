//! One HTTP connection to a proxy, driven by whoever waits for something on it.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use proxy_core::dial::{AllOpen, reach};
use proxy_core::resolve::ResolverOptions;
use proxy_core::{Bound, Resolver, Socket, Stream, TcpDialer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

use super::ClientError;
use crate::cli::access::Place;

/// A connection. Dropped, it is closed.
pub(super) struct Link {
    /// None once it has ended: what was received may still be waiting to be read.
    driver: Option<http1::Connection<TokioIo<Wire>, Full<Bytes>>>,
}

impl Link {
    /// Connects to the API at `place`. Cancel-safe.
    pub(super) async fn open(
        place: &Place,
        within: Bound,
    ) -> Result<(SendRequest<Full<Bytes>>, Self), ClientError> {
        let resolver = Resolver::system(Handle::current(), 1, ResolverOptions::default());
        let dialled = reach(&TcpDialer::default(), &resolver, &[place.target()], &AllOpen, within)
            .await
            .map_err(|error| ClientError::unreachable(place, error))?;
        let (sender, driver) = http1::handshake(TokioIo::new(Wire(Some(dialled.stream))))
            .await
            .map_err(|error| ClientError::Broken { place: place.clone(), why: error.to_string() })?;
        Ok((sender, Self { driver: Some(driver) }))
    }

    /// Does `work`, driving the connection meanwhile. Cancel-safe if the work is.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Some(driver) = &mut self.driver {
            tokio::select! {
                biased;
                done = &mut work => return done,
                // However it ended, whoever works on it is told.
                _ = driver => {}
            }
        }
        self.driver = None;
        work.await
    }
}

/// A socket as hyper wants it. Dropped, it closes in an orderly way: a client that has its answer resets nobody.
#[derive(Debug)]
struct Wire(Option<Socket>);

impl Wire {
    fn socket(&self) -> io::Result<&Socket> {
        self.0.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            socket.finish();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.socket()?.poll_read(cx, buf.initialize_unfilled());
        read.map_ok(|count| buf.advance(count))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket()?.shutdown_write())
    }
}
