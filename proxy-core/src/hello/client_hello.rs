//! What is kept of a hello: what a route can be chosen by, and what a log wants to say.

use std::fmt;

/// What a TLS client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHello {
    /// The host name asked for: lower case, without a trailing dot, a valid DNS name, never an address.
    ///
    /// `None` if the client named nobody, *and also* if what it sent is an IP literal or no DNS name. RFC 6066 allows
    /// neither, but clients send them; such a stream is TLS all the same and goes where nameless streams go.
    pub server_name: Option<Box<str>>,
    /// The application protocols offered (ALPN), in the client's order of preference, as bytes and with GREASE left
    /// in. Empty if there was no such extension; never longer than [`MAX_PROTOCOLS`](super::MAX_PROTOCOLS).
    pub alpn: Vec<Box<[u8]>>,
    /// Whether an `encrypted_client_hello` extension was there. `server_name` is then the *outer* name, that of the
    /// client-facing server. Browsers also send it filled with noise (GREASE), which cannot be told from a real one.
    pub ech: bool,
    /// The newest version offered.
    pub version: TlsVersion,
}

/// A protocol version as it stands on the wire: 0x0303 is TLS 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// SSL 3.0
    pub const SSL_3_0: Self = Self(0x0300);
    /// TLS 1.0
    pub const TLS_1_0: Self = Self(0x0301);
    /// TLS 1.1
    pub const TLS_1_1: Self = Self(0x0302);
    /// TLS 1.2
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3
    pub const TLS_1_3: Self = Self(0x0304);
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SSL_3_0 => f.write_str("SSL 3.0"),
            Self::TLS_1_0 => f.write_str("TLS 1.0"),
            Self::TLS_1_1 => f.write_str("TLS 1.1"),
            Self::TLS_1_2 => f.write_str("TLS 1.2"),
            Self::TLS_1_3 => f.write_str("TLS 1.3"),
            Self(other) => write!(f, "TLS {other:#06x}"),
        }
    }
}
