//! The only place that connects, and never without a deadline.
//!
//! The kernel gives up on a silent backend after about two minutes; a proxy that waits for it piles up connections for
//! as long. So a dial is bounded as a whole, whatever the kernel does, over all targets and all their addresses; and none
//! of them is waited for before the next is tried too ([`reach`]).

mod error;
mod flights;
mod gate;
mod race;
mod reach;
mod standing;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Type};

use crate::addr::Endpoint;
use crate::congestion::Congestion;
use crate::socket::Socket;
use crate::stream::Stream;

pub use error::{DialError, DialErrorKind, DialFailure, FailedAttempt};
pub use gate::{AllOpen, Closed, Gate};
pub use reach::{Dialled, STAGGER, reach};

/// The first wait for room in a Unix socket's backlog; doubled up to the longest. A backlog that anybody serves moves in
/// milliseconds, and one that nobody does is not worth more than ten looks a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Something that can connect to an endpoint, with no deadline of its own.
///
/// Its future owns the half-made connection: dropping it abandons the attempt and frees the descriptor.
pub trait Dial: Send + Sync + 'static {
    /// What a connection is.
    type Stream: Stream;

    /// Connects. Cancel-safe: dropping the future closes what it opened.
    ///
    /// # Errors
    /// What the network says.
    fn dial(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The same for connections that are to show whether an endpoint answers, and are dropped as soon as they are there: where
    /// it can be, no more than the endpoint's kernel takes notice.
    #[must_use]
    fn unnoticed(&self) -> Self
    where
        Self: Clone,
    {
        self.clone()
    }
}

/// Dials over TCP and Unix sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDialer {
    congestion: Congestion,
    unnoticed: bool,
}

impl TcpDialer {
    /// One whose TCP sockets have this congestion control.
    #[must_use]
    pub const fn new(congestion: Congestion) -> Self {
        Self { congestion, unnoticed: false }
    }

    /// A socket that does not block, with all that it is to have before it connects.
    fn open(self, addr: SocketAddr) -> io::Result<socket2::Socket> {
        let domain = Domain::for_address(addr);
        let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        // An urgent byte is passed on in its place, not dropped.
        socket.set_out_of_band_inline(true)?;
        // Whatever happens to this process, it resets; see `Socket`.
        socket.set_linger(Some(Duration::ZERO))?;
        self.congestion.begin(&socket, addr.ip())?;
        if self.unnoticed {
            // The last word of the handshake waits for company, and a reset comes in its place: the listener's program is never
            // told. HAProxy's checks do the same.
            rustix::net::sockopt::set_tcp_quickack(&socket, false)?;
        }
        Ok(socket)
    }

    /// A socket that has begun to connect. Dropped, it resets, whatever the kernel has made of it.
    fn begin(self, addr: SocketAddr) -> io::Result<Socket> {
        let socket = self.open(addr)?;
        begin_to_connect(&socket, &addr.into())?;
        Socket::connecting(socket.into(), addr)
    }
}

impl Dial for TcpDialer {
    type Stream = Socket;

    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Socket> {
        match endpoint {
            Endpoint::Ip(addr) => {
                let socket = self.begin(*addr)?;
                socket.connected().await?;
                Ok(socket)
            }
            Endpoint::Unix(path) => connect_unix(path).await,
        }
    }

    fn unnoticed(&self) -> Self {
        Self { unnoticed: true, ..*self }
    }
}

/// Starts to connect a socket that does not block.
#[expect(clippy::disallowed_methods, reason = "this is the one place that connects; `reach` bounds it")]
pub(crate) fn begin_to_connect(socket: &socket2::Socket, addr: &SockAddr) -> io::Result<()> {
    match socket.connect(addr) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        outcome => outcome,
    }
}

/// Connects to a Unix socket. Where the backlog is full the kernel says so at once instead of waiting for room as TCP
/// does; so the wait is here, for as long as the dial is let.
async fn connect_unix(path: &Path) -> io::Result<Socket> {
    let addr = SockAddr::unix(path)?;
    let mut wait = SHORTEST_WAIT;
    loop {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        match begin_to_connect(&socket, &addr) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            outcome => return outcome.and_then(|()| Socket::unix(socket.into())),
        }
    }
}
