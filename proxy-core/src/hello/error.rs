//! Why a `ClientHello` cannot be read.

use std::fmt;

use super::record::MAX_RECORD;

/// Why the head of a stream is not an acceptable TLS `ClientHello`.
///
/// Whether somebody speaks another protocol, or TLS badly, is told by [`Progress`](super::Progress).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The stream does not begin with a handshake record. An `SSLv2` hello (first byte 0x80) ends here too.
    #[error("the first byte is {found:#04x}, a TLS handshake begins with 0x16")]
    FirstByte {
        /// The first byte of the stream.
        found: u8,
    },
    /// A record's major version is one that no server takes. SSL 3.0 and every TLS has 3, and some servers take others below 16.
    #[error("the major version of a record is {found}, all of TLS has 3")]
    RecordVersion {
        /// The major version found.
        found: u8,
    },
    /// The first handshake message is not a `ClientHello`.
    #[error("the first handshake message has type {found}, a ClientHello has 1")]
    HandshakeType {
        /// The handshake type found.
        found: u8,
    },
    /// A record of another type came before the hello was whole.
    #[error("a record of type {found} where one of the ClientHello is due, which has type 22")]
    Interrupted {
        /// The content type found: 21 is an alert, 23 application data.
        found: u8,
    },
    /// A record without a byte of handshake in it, which RFC 8446, section 5.1, forbids: it costs the sender nothing
    /// and could be repeated for ever. OpenSSL takes it all the same.
    #[error("a handshake record is empty")]
    EmptyRecord,
    /// A record that claims to be longer than any record may be.
    #[error("a record claims {len} bytes, the most is {MAX_RECORD}")]
    RecordLength {
        /// The length claimed, in bytes.
        len: u16,
    },
    /// The hello's own lengths or lists do not add up.
    #[error("malformed ClientHello: {part} at byte {at}")]
    Malformed {
        /// What does not add up.
        part: Part,
        /// Where it begins: bytes from the beginning of the handshake message, record headers not counted.
        at: usize,
    },
    /// An extension came twice, which RFC 8446, section 4.2, forbids: two readers could choose differently.
    #[error("malformed ClientHello: extension {number} comes twice")]
    DuplicateExtension {
        /// The extension's registered number.
        number: u16,
    },
    /// The hello does not end within the bytes the reader may look at.
    #[error("no whole ClientHello fits in {cap} bytes")]
    TooLarge {
        /// The reader's cap, in bytes.
        cap: usize,
    },
}

/// A part of a `ClientHello` that can be malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The length of the whole message: too short for what must be in it.
    Length,
    /// The version before the random bytes.
    Version,
    /// The 32 random bytes.
    Random,
    /// The session id: 32 bytes at most.
    SessionId,
    /// The cipher suites: two bytes each, one at least.
    CipherSuites,
    /// The compression methods: one at least.
    Compression,
    /// The list of extensions, or an extension's length.
    Extensions,
    /// The `server_name` extension: one name at least, and one host name at most.
    ServerName,
    /// The ALPN extension: one protocol at least, none of them empty.
    Alpn,
    /// The `supported_versions` extension: two bytes each, one at least.
    SupportedVersions,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "message length",
            Self::Version => "version",
            Self::Random => "random",
            Self::SessionId => "session id",
            Self::CipherSuites => "cipher suites",
            Self::Compression => "compression methods",
            Self::Extensions => "extensions",
            Self::ServerName => "server_name",
            Self::Alpn => "ALPN",
            Self::SupportedVersions => "supported_versions",
        })
    }
}
