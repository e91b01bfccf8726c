//! Addresses that are not interchangeable.
//!
//! A proxy in a chain knows four addresses of one connection, and mixing them up is how a per-client limit comes
//! to count the outer proxy, or an allow list comes to trust a header. So each is a type of its own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The peer of an accepted socket: the other end of the TCP connection. A v4-mapped address is canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerAddr(SocketAddr);

/// The client of a connection: what a trusted peer's PROXY header said, else the peer itself.
/// A v4-mapped address is canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddr(SocketAddr);

/// The local address that the client (or the previous hop's client) connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenAddr(SocketAddr);

macro_rules! canonical_address {
    ($type:ident) => {
        impl $type {
            /// Wraps an address; a v4-mapped IPv6 address becomes the IPv4 address that it is.
            #[must_use]
            pub fn new(addr: SocketAddr) -> Self {
                Self(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
            }

            /// Address and port.
            #[must_use]
            pub const fn socket_addr(self) -> SocketAddr {
                self.0
            }

            /// The address alone.
            #[must_use]
            pub const fn ip(self) -> IpAddr {
                self.0.ip()
            }

            /// The port alone.
            #[must_use]
            pub const fn port(self) -> u16 {
                self.0.port()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

canonical_address!(PeerAddr);
canonical_address!(ClientAddr);
canonical_address!(ListenAddr);

impl From<PeerAddr> for ClientAddr {
    /// A peer that sent no header is the client.
    fn from(peer: PeerAddr) -> Self {
        Self(peer.0)
    }
}

/// A target: what a route names, before any name is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetAddr {
    /// An address and a port.
    Ip(SocketAddr),
    /// A name to be resolved, and a port.
    Name(Box<str>, u16),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl TargetAddr {
    /// The name that is to be resolved, where it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name, _) => Some(name),
            Self::Ip(_) | Self::Unix(_) => None,
        }
    }

    /// The port; 0 where there is none.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Name(_, port) => *port,
            Self::Ip(addr) => addr.port(),
            Self::Unix(_) => 0,
        }
    }
}

impl fmt::Display for TargetAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a dial goes: a [`TargetAddr`] after resolution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP address.
    Ip(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A local address to listen on, without a port: ports follow from the routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindAddr {
    /// This address only. `::` is IPv6 only.
    Ip(IpAddr),
    /// Every address, IPv4 and IPv6, on one socket; IPv4 alone where the machine has no IPv6.
    Dual,
}

/// A text that is not a [`BindAddr`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an IPv4 or IPv6 address without a port, or \"dual\" for every address of both, found `{0}`"
)]
pub struct BindAddrError(String);

impl FromStr for BindAddr {
    type Err = BindAddrError;

    fn from_str(text: &str) -> Result<Self, BindAddrError> {
        if text == "dual" {
            return Ok(Self::Dual);
        }
        text.parse().map(Self::Ip).map_err(|_| BindAddrError(text.to_owned()))
    }
}

impl fmt::Display for BindAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Dual => f.write_str("dual"),
        }
    }
}

proxy_values::text_form!(
    BindAddr,
    "BindAddress",
    r"^(dual|[0-9.]+|[0-9a-fA-F:.]+)$",
    "an IPv4 or IPv6 address without a port, or \"dual\" for every address of both"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_mapped_addresses_are_canonical() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:80".parse().unwrap();
        assert_eq!(PeerAddr::new(mapped).to_string(), "192.0.2.7:80");
        assert_eq!(ClientAddr::new(mapped).ip().to_string(), "192.0.2.7");
        assert_eq!(ListenAddr::new(mapped).port(), 80);
    }

    #[test]
    fn bind_addresses_parse_and_print_back() {
        for text in ["dual", "127.0.0.1", "::", "::1"] {
            assert_eq!(text.parse::<BindAddr>().unwrap().to_string(), text);
        }
        insta::assert_snapshot!("127.0.0.1:80".parse::<BindAddr>().unwrap_err(), @r#"expected an IPv4 or IPv6 address without a port, or "dual" for every address of both, found `127.0.0.1:80`"#);
    }
}
