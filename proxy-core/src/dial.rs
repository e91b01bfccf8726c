//! The only place that connects, and never without a deadline.
//!
//! The kernel gives up on a silent backend after about two minutes; a proxy that waits for it piles up connections for
//! as long. So a dial is bounded as a whole, whatever the kernel does, over all targets and all their addresses; and none
//! of them is waited for before the next is tried too ([`reach`]).

mod destination;
mod error;
mod flights;
mod gate;
mod open;
mod race;
mod reach;
mod shortage;
mod standing;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};

use crate::addr::Endpoint;
use crate::congestion::Congestion;
use crate::egress::EgressError;
use crate::socket::Socket;
use crate::stream::Stream;
use open::Outset;

pub use destination::Destination;
pub use error::{DialError, DialErrorKind, DialFailure, FailedAttempt};
pub use gate::{AllOpen, Closed, Gate};
pub(crate) use open::begin_to_connect;
pub use reach::{Dialled, STAGGER, reach};
pub use shortage::{NoPortLeft, Shortage, Sockets};

/// The first wait for room in a Unix socket's backlog; doubled up to the longest. A backlog that anybody serves moves in
/// milliseconds, and one that nobody does is not worth more than ten looks a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Something that can connect to an endpoint, with no deadline of its own.
///
/// Its future owns the half-made connection: dropping it abandons the attempt and frees the descriptor.
pub trait Dial: Send + Sync + 'static {
    /// What a connection is.
    type Stream: Stream + Unpin + 'static;

    /// Connects. Cancel-safe: dropping the future closes what it opened.
    ///
    /// # Errors
    /// What the network says; what this machine lacks, as an [`EgressError`] or a [`NoPortLeft`] within
    /// the error; `InvalidInput` where a Unix endpoint is to be reached from a source address, by an interface, or with a mark.
    fn dial(&self, to: Destination<'_>) -> impl Future<Output = io::Result<Self::Stream>> + Send;

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
    /// One whose TCP sockets have this congestion control where their [`Destination`] says nothing of it.
    #[must_use]
    pub const fn new(congestion: Congestion) -> Self {
        Self { congestion, unnoticed: false }
    }

    /// A socket that has begun to connect. Dropped, it resets, whatever the kernel has made of it.
    fn begin(self, to: Destination<'_>, addr: SocketAddr) -> io::Result<Socket> {
        let congestion = to.egress.map_or(self.congestion, |egress| egress.congestion);
        let outset = Outset { to: addr, congestion, unnoticed: self.unnoticed };
        let socket = match to.egress {
            Some(egress) if !egress.is_the_kernels() => outset.begin_by(egress, to.client_ip())?,
            _ => outset.begin()?,
        };
        Socket::connecting(socket.into(), addr)
    }
}

impl Dial for TcpDialer {
    type Stream = Socket;

    async fn dial(&self, to: Destination<'_>) -> io::Result<Socket> {
        match to.endpoint {
            Endpoint::Ip(addr) => {
                let socket = self.begin(to, *addr)?;
                socket.connected().await?;
                Ok(socket)
            }
            Endpoint::Unix(_) if to.egress.is_some_and(|egress| !egress.is_the_kernels()) => {
                Err(EgressError::Unix.into())
            }
            Endpoint::Unix(path) => connect_unix(path).await,
        }
    }

    fn unnoticed(&self) -> Self {
        Self { unnoticed: true, ..*self }
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
