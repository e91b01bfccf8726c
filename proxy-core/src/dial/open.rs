//! A TCP socket before it connects: what it is given, and where it comes from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::shortage::NoPortLeft;
use crate::congestion::Congestion;
use crate::egress::{Egress, EgressError, Privilege, Source, SourcePool, Turn};
use crate::sys::bind_address_no_port;

/// Starts to connect a socket that does not block.
#[expect(clippy::disallowed_methods, reason = "this is the one place that connects; `reach` bounds it")]
pub(crate) fn begin_to_connect(socket: &Socket, addr: &SockAddr) -> io::Result<()> {
    match socket.connect(addr) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        outcome => outcome,
    }
}

/// A socket that does not block, with all that it is to have wherever it goes.
fn open(to: SocketAddr, congestion: Congestion) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    // An urgent byte is passed on in its place, not dropped.
    socket.set_out_of_band_inline(true)?;
    // Whatever happens to this process, it resets; see `Socket`.
    socket.set_linger(Some(Duration::ZERO))?;
    congestion.begin(&socket, to.ip())?;
    Ok(socket)
}

/// A dial to one address: what its socket gets, and whether the listener's program is to take notice.
#[derive(Clone, Copy)]
pub(super) struct Outset {
    pub(super) to: SocketAddr,
    pub(super) congestion: Congestion,
    pub(super) unnoticed: bool,
}

impl Outset {
    fn open(self) -> io::Result<Socket> {
        let socket = open(self.to, self.congestion)?;
        if self.unnoticed {
            // The last word of the handshake waits for company, and a reset comes in its place: the listener's program is never
            // told. HAProxy's checks do the same.
            rustix::net::sockopt::set_tcp_quickack(&socket, false)?;
        }
        Ok(socket)
    }

    /// A socket that has begun to connect, from wherever the kernel likes.
    pub(super) fn begin(self) -> io::Result<Socket> {
        self.connect(self.open()?)
    }

    /// The same, leaving by `egress`, on behalf of `client`.
    pub(super) fn begin_by(self, egress: &Egress, client: Option<IpAddr>) -> io::Result<Socket> {
        match (&egress.source, client) {
            (Source::Auto, _) | (Source::Client, None) => self.connect(self.open_for(egress)?),
            (Source::Client, Some(client)) => self.begin_as(client, self.open_for(egress)?),
            (Source::Pool(pool), _) => self.begin_from(pool, egress),
        }
    }

    /// One with interface and mark.
    fn open_for(self, egress: &Egress) -> io::Result<Socket> {
        let socket = self.open()?;
        if let Some(interface) = &egress.interface {
            let bound = socket.bind_device(Some(interface.as_str().as_bytes()));
            bound.map_err(|error| Privilege::Interface.refused(error, Some(interface)))?;
        }
        if let Some(mark) = egress.mark {
            socket.set_mark(mark.get()).map_err(|error| Privilege::Mark.refused(error, None))?;
        }
        Ok(socket)
    }

    /// Connects from where the kernel likes.
    fn connect(self, socket: Socket) -> io::Result<Socket> {
        match begin_to_connect(&socket, &self.to.into()) {
            Err(error) if is_not_available(&error) => Err(self.nowhere_to_come_from(&socket)),
            outcome => outcome.map(|()| socket),
        }
    }

    /// Connects from the client's address.
    fn begin_as(self, client: IpAddr, socket: Socket) -> io::Result<Socket> {
        if client.is_ipv4() != self.to.is_ipv4() {
            return Err(EgressError::ClientOfOtherFamily { client, to: self.to }.into());
        }
        let transparent = match client {
            IpAddr::V4(_) => socket.set_ip_transparent_v4(true),
            IpAddr::V6(_) => socket.set_ip_transparent_v6(true),
        };
        transparent.map_err(|error| Privilege::Transparent.refused(error, None))?;
        bind(&socket, client)?;
        match begin_to_connect(&socket, &self.to.into()) {
            Err(error) if is_not_available(&error) => Err(NoPortLeft::between(client, self.to).into()),
            outcome => outcome.map(|()| socket),
        }
    }

    /// Connects from one of these addresses.
    fn begin_from(self, pool: &SourcePool, egress: &Egress) -> io::Result<Socket> {
        let mut last = None;
        let begun = pool.try_from(self.to, |turn| {
            let socket = self.open_for(egress)?;
            last = Some((turn.ip, Step::Bind));
            bind_turn(&socket, turn)?;
            last = Some((turn.ip, Step::Connect));
            begin_to_connect(&socket, &self.to.into()).map(|()| socket)
        });
        match (begun, last) {
            (None, _) => Err(EgressError::NoneOfFamily(self.to).into()),
            (Some(Err(error)), Some((from, step))) if is_not_available(&error) => Err(match step {
                Step::Bind => EgressError::NotLocal(from).into(),
                Step::Connect => NoPortLeft::between(from, self.to).into(),
            }),
            (Some(outcome), _) => outcome,
        }
    }

    /// Why the kernel had no address and port for a socket that named none: it has no port left, or no address of that family.
    /// A datagram socket needs the same address and none of TCP's ports, so it tells the two apart. Nothing is sent.
    fn nowhere_to_come_from(self, socket: &Socket) -> io::Error {
        let any: IpAddr = match self.to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let probe = UdpSocket::bind((any, 0)).and_then(|probe| {
            if let Ok(Some(interface)) = socket.device() {
                socket2::SockRef::from(&probe).bind_device(Some(&interface))?;
            }
            probe.connect(self.to)?;
            probe.local_addr()
        });
        match probe {
            Ok(from) => NoPortLeft::between(from.ip(), self.to).into(),
            Err(_) => EgressError::NoAddress(self.to).into(),
        }
    }
}

/// What was being done from an address.
#[derive(Clone, Copy)]
enum Step {
    Bind,
    Connect,
}

fn is_not_available(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EADDRNOTAVAIL)
}

/// Binds to an address from a pool.
fn bind_turn(socket: &Socket, turn: Turn) -> io::Result<()> {
    if turn.is_of_network {
        let free = match turn.ip {
            IpAddr::V4(_) => socket.set_freebind_v4(true),
            IpAddr::V6(_) => socket.set_freebind_v6(true),
        };
        free.map_err(|error| Privilege::FreeBind.refused(error, None))?;
    }
    bind(socket, turn.ip)
}

/// Binds to an address and no port: that is found when it connects, so that a port is taken for one target and not for all.
fn bind(socket: &Socket, ip: IpAddr) -> io::Result<()> {
    bind_address_no_port(socket)?;
    socket.bind(&SocketAddr::new(ip, 0).into())
}
