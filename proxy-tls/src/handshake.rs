//! Handshakes, either side. Both are futures without a deadline of their own: the caller's phase has one.

use std::fmt;
use std::io;
use std::sync::Arc;

use proxy_core::stream::Stream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use crate::error::{HandshakeError, is_truncated};
use crate::session::Session;
use crate::stream::TlsStream;

/// A handshake that failed. The peer was sent an alert, where its fault is one that has an alert.
pub struct Failed<S> {
    /// Why.
    pub error: HandshakeError,
    /// The stream below: dropped, it resets, upon which the peer may forget the alert; finished, it ends in order.
    pub stream: S,
}

impl<S> fmt::Debug for Failed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for Failed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Does the server's part of a handshake over `stream`, of which `ahead` was read already. Dropped before its end, the stream is
/// reset.
///
/// # Errors
/// Why it failed, and the stream.
pub async fn accept<S: Stream>(
    stream: S,
    config: Arc<ServerConfig>,
    ahead: Vec<u8>,
) -> Result<TlsStream<S>, Failed<S>> {
    match Session::server(config, ahead) {
        Ok(session) => shake(TlsStream::new(stream, session)).await,
        Err(error) => Err(Failed { error: error.into(), stream }),
    }
}

/// Does the client's part of a handshake with the server `name` over `stream`. Dropped before its end, the stream is reset.
///
/// # Errors
/// Why it failed, and the stream.
pub async fn connect<S: Stream>(
    stream: S,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<TlsStream<S>, Failed<S>> {
    match Session::client(config, name) {
        Ok(session) => shake(TlsStream::new(stream, session)).await,
        Err(error) => Err(Failed { error: error.into(), stream }),
    }
}

async fn shake<S: Stream>(stream: TlsStream<S>) -> Result<TlsStream<S>, Failed<S>> {
    let done = match stream.begin() {
        Ok(()) => std::future::poll_fn(|cx| stream.poll_handshake(cx)).await.map_err(told),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return Ok(stream) };
    if matches!(error, HandshakeError::Tls(_)) {
        // The alert. A peer that does not take it is waited for as long as the caller waits; that it is gone is nothing new.
        std::future::poll_fn(|cx| stream.poll_flush(cx)).await.unwrap_or_default();
    }
    Err(Failed { error, stream: stream.into_inner() })
}

/// What an error of the stream's says of the handshake.
fn told(error: io::Error) -> HandshakeError {
    if is_truncated(&error) {
        return HandshakeError::Left;
    }
    match error.downcast::<rustls::Error>() {
        Ok(error) => HandshakeError::Tls(error),
        Err(error) => HandshakeError::Io(error),
    }
}
