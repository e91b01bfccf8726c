//! What a header says, whatever its version.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{EncodeError, Tlvs};

/// A PROXY header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The format it was written in.
    pub version: Version,
    /// Whether it speaks for a client; v1 always does.
    pub command: Command,
    /// Both ends of the connection it speaks of.
    pub endpoints: Endpoints,
    /// What else it says; v1 says nothing.
    pub tlvs: Tlvs,
}

/// The format of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary, with room for TLVs.
    V2,
}

/// On whose behalf the peer has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// On its own, as for a health check: the addresses of the socket are the real ones.
    Local,
    /// On behalf of the client that the header names.
    Proxy,
}

/// The two ends of the connection that a client made to the first hop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Endpoints {
    /// Unknown: use the addresses of the socket.
    #[default]
    Unknown,
    /// A TCP connection. Read from a header, both are canonical: an IPv4 address that came as
    /// `::ffff:192.0.2.7` is `192.0.2.7` here, so that it matches the rules and limits written for it, and
    /// the two may therefore differ in family.
    Inet {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
    },
    /// A stream connection over a Unix socket.
    Unix {
        /// The client, which is usually unnamed.
        source: UnixPath,
        /// Where the client connected to.
        destination: UnixPath,
    },
}

impl Endpoints {
    /// The client's address, if this is a TCP connection.
    #[must_use]
    pub const fn source(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet { source, .. } => Some(*source),
            Self::Unknown | Self::Unix { .. } => None,
        }
    }

    /// The address the client connected to, if this is a TCP connection.
    #[must_use]
    pub const fn destination(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet { destination, .. } => Some(*destination),
            Self::Unknown | Self::Unix { .. } => None,
        }
    }

    /// A TCP connection between the canonical forms of two addresses.
    pub(super) fn canonical(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::Inet { source: canonical(source), destination: canonical(destination) }
    }
}

/// `::ffff:192.0.2.7` becomes `192.0.2.7`; everything else stays.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The address of a Unix socket, as the 108 bytes of `sun_path` hold it.
///
/// Invariant: at most 108 bytes, the last of which is not NUL. Bytes behind a NUL are kept, since they are
/// part of an abstract name; senders that copy `sun_path` whole leave chance bytes there behind a real path,
/// so two values that name the same file need not be equal: compare [`UnixPath::as_path`].
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct UnixPath(Vec<u8>);

impl UnixPath {
    /// Size of `sun_path`, and of each address in the header.
    pub const MAX: usize = 108;

    /// An address from its bytes; trailing NULs do not count.
    ///
    /// # Errors
    /// [`EncodeError::UnixPathTooLong`] if more than [`UnixPath::MAX`] bytes are left.
    pub fn new(bytes: &[u8]) -> Result<Self, EncodeError> {
        let trimmed = without_trailing_nuls(bytes);
        if trimmed.len() > Self::MAX {
            return Err(EncodeError::UnixPathTooLong { len: trimmed.len(), max: Self::MAX });
        }
        Ok(Self(trimmed.to_vec()))
    }

    pub(super) fn from_field(field: &[u8; Self::MAX]) -> Self {
        Self(without_trailing_nuls(field).to_vec())
    }

    /// All bytes but the trailing NULs; empty for an unnamed socket, led by NUL for an abstract one.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path in the file system, up to the first NUL; `None` for unnamed and abstract sockets.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        let path = self.0.split(|byte| *byte == 0).next()?;
        (!path.is_empty()).then(|| Path::new(OsStr::from_bytes(path)))
    }
}

fn without_trailing_nuls(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// Escaped, since the bytes come from the peer.
impl fmt::Debug for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Escaped, since the bytes come from the peer.
impl fmt::Display for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}
