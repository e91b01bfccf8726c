//! Why a socket could not be given what it was to have: this machine's doing, or its operator's, and never the target's.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::{Interface, SourceNet};

/// Why a connection could not leave this machine as it was to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The source address is none of this machine.
    #[error(
        "the source {0} is no address of this machine: add it (`ip addr add {0} dev …`), or take it out of `source`"
    )]
    NotLocal(IpAddr),
    /// A source is a network for which this machine has no local route.
    #[error(
        "{0} in `source` is no network of this machine, so no answer would come: route it here and add `ip{v6} route add local {0} dev lo`, or take it out",
        v6 = if matches!(.0.network(), ipnet::IpNet::V6(_)) { " -6" } else { "" }
    )]
    NetworkNotLocal(SourceNet),
    /// No source address is of the target's family.
    #[error(
        "no address of `source` is of the family of {0}: add one, or take that target's family out of its name"
    )]
    NoneOfFamily(SocketAddr),
    /// The client's address is of the other family than the target's.
    #[error("the client {client} cannot be the source of a connection to {to}: one is IPv4, the other IPv6")]
    ClientOfOtherFamily {
        /// The client.
        client: IpAddr,
        /// Where the connection was to go.
        to: SocketAddr,
    },
    /// This machine has no address from which the target could be reached.
    #[error("this machine has no address to reach {0} from: none of its family, or no way there")]
    NoAddress(SocketAddr),
    /// There is no such interface.
    #[error("there is no network interface \"{0}\" here: `ip link` lists them")]
    NoInterface(Interface),
    /// The process may not.
    #[error("{0} needs {capability}: give it to the process (`AmbientCapabilities={capability}` of a unit), or take it out", capability = .0.capability())]
    NotPermitted(Privilege),
    /// A source, an interface or a mark for a Unix socket.
    #[error("a Unix socket has no source address, interface or mark")]
    Unix,
    /// The kernel refused an option for another reason.
    #[error("{what} could not be set: {source}")]
    Option {
        /// Which one.
        what: Privilege,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What a socket is given that not every process may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Privilege {
    /// A source address that is not this machine's.
    Transparent,
    /// A source address of a network, of which this machine need not have each.
    FreeBind,
    /// An interface.
    Interface,
    /// A mark.
    Mark,
}

impl Privilege {
    /// What the process has to have for it, as capabilities(7) has it.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Transparent | Self::Mark => "CAP_NET_ADMIN",
            Self::Interface | Self::FreeBind => "CAP_NET_RAW",
        }
    }

    /// What the kernel said when it was to be given.
    pub(crate) fn refused(self, error: io::Error, interface: Option<&Interface>) -> EgressError {
        match (error.raw_os_error(), interface) {
            (Some(libc::EPERM | libc::EACCES), _) => EgressError::NotPermitted(self),
            (Some(libc::ENODEV), Some(interface)) => EgressError::NoInterface(interface.clone()),
            _ => EgressError::Option { what: self, source: error },
        }
    }
}

impl std::fmt::Display for Privilege {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Transparent => "`source = \"client\"`",
            Self::FreeBind => "a network in `source`",
            Self::Interface => "`interface`",
            Self::Mark => "`mark`",
        })
    }
}

/// For what hands errors on as the kernel's.
impl From<EgressError> for io::Error {
    fn from(error: EgressError) -> Self {
        let kind = match &error {
            EgressError::NotLocal(_) | EgressError::NetworkNotLocal(_) | EgressError::NoAddress(_) => {
                io::ErrorKind::AddrNotAvailable
            }
            EgressError::NotPermitted(_) => io::ErrorKind::PermissionDenied,
            EgressError::NoInterface(_) => io::ErrorKind::NotFound,
            EgressError::Option { source, .. } => source.kind(),
            EgressError::NoneOfFamily(_) | EgressError::ClientOfOtherFamily { .. } | EgressError::Unix => {
                io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}
