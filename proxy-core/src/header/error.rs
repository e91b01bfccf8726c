//! Why bytes are not a header, and why a header cannot be written.
//!
//! Offsets count from the first byte of the header. No message carries a byte of the peer unescaped, so all
//! of them may go to a log as they are.

use std::fmt;

/// Why the bytes at hand are not, and cannot become, a PROXY header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The peer sent something else.
    #[error(
        "no PROXY header: the peer sent \"{found}\"; it may not be configured to send one (v1 or v2), or may \
         not be the proxy it is taken for"
    )]
    NotAHeader {
        /// How it began.
        found: Excerpt,
    },
    /// It started as a v1 header.
    #[error(transparent)]
    V1(#[from] V1Error),
    /// It started as a v2 header.
    #[error(transparent)]
    V2(#[from] V2Error),
}

/// What is wrong with a v1 line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum V1Error {
    /// No end of line can come soon enough.
    #[error("PROXY v1: the line cannot end in CR LF within {max} bytes, the most the protocol allows")]
    TooLong {
        /// The most bytes a line has, with its CR LF.
        max: usize,
    },
    /// LF without CR before it.
    #[error("PROXY v1: LF without CR at byte {offset}; the line ends in CR LF")]
    BareLf {
        /// Where the LF is.
        offset: usize,
    },
    /// CR without LF after it.
    #[error("PROXY v1: CR without LF at byte {offset}; the line ends in CR LF")]
    BareCr {
        /// Where the CR is.
        offset: usize,
    },
    /// The word after `PROXY` is none of those that exist.
    #[error("PROXY v1: bad transport \"{found}\" at byte {offset}; expected TCP4, TCP6 or UNKNOWN")]
    Transport {
        /// Where the word starts.
        offset: usize,
        /// The word.
        found: Excerpt,
    },
    /// An address that is not one of the announced family.
    #[error("PROXY v1: bad {field} \"{found}\" at byte {offset}; expected an {family} address")]
    Address {
        /// Which address.
        field: V1Field,
        /// Where it starts.
        offset: usize,
        /// The address.
        found: Excerpt,
        /// The family that the header announced.
        family: &'static str,
    },
    /// A port that is not one, or not written as the specification wants it.
    #[error(
        "PROXY v1: bad {field} \"{found}\" at byte {offset}; expected 0 to 65535, no sign, no leading zeros"
    )]
    Port {
        /// Which port.
        field: V1Field,
        /// Where it starts.
        offset: usize,
        /// The port.
        found: Excerpt,
    },
    /// The line ends too early.
    #[error("PROXY v1: the line ends at byte {offset}, before the {field}")]
    Missing {
        /// The first field that is not there.
        field: V1Field,
        /// Where the line ends.
        offset: usize,
    },
    /// The line goes on behind the last field.
    #[error("PROXY v1: more follows the destination port at byte {offset}, where CR LF was expected")]
    Trailing {
        /// Where the first byte too many is.
        offset: usize,
    },
    /// The line passed our checks, yet not the parser's.
    #[error("PROXY v1: {reason}")]
    Rejected {
        /// The parser's words.
        reason: String,
    },
}

/// A field of a v1 line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum V1Field {
    /// The client's address.
    SourceAddress,
    /// The address the client connected to.
    DestinationAddress,
    /// The client's port.
    SourcePort,
    /// The port the client connected to.
    DestinationPort,
}

impl fmt::Display for V1Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceAddress => "source address",
            Self::DestinationAddress => "destination address",
            Self::SourcePort => "source port",
            Self::DestinationPort => "destination port",
        })
    }
}

/// What is wrong with a v2 header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum V2Error {
    /// Not version 2.
    #[error("PROXY v2: version {found} in the upper half of byte 12; expected 2")]
    Version {
        /// The version it says.
        found: u8,
    },
    /// Neither LOCAL nor PROXY.
    #[error("PROXY v2: command {found} in the lower half of byte 12; expected 0 (LOCAL) or 1 (PROXY)")]
    Command {
        /// The command it says.
        found: u8,
    },
    /// A family and protocol that the specification does not list.
    #[error(
        "PROXY v2: family and protocol {found:#04x} at byte 13; expected 0x00 (unspecified), 0x11 (TCP over \
         IPv4), 0x21 (TCP over IPv6) or 0x31 (Unix stream)"
    )]
    Family {
        /// The byte.
        found: u8,
    },
    /// The header speaks of datagrams, but came over a stream.
    #[error("PROXY v2: family and protocol {found:#04x} at byte 13 say datagram, over a stream connection")]
    Datagram {
        /// The byte.
        found: u8,
    },
    /// Longer than we accept.
    #[error(
        "PROXY v2: the header is at least {len} bytes long by its bytes 14 and 15; at most {max} are accepted"
    )]
    TooLong {
        /// Bytes of the whole header; the smallest possible number, if only the first half of it is known.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The addresses do not fit.
    #[error(
        "PROXY v2: {len} bytes follow by its bytes 14 and 15, too few for the {need} of {family} addresses"
    )]
    ShortAddress {
        /// Bytes announced behind the fixed part.
        len: usize,
        /// Bytes the family needs.
        need: usize,
        /// The family.
        family: &'static str,
    },
    /// A TLV that does not fit its place or its type.
    #[error("PROXY v2: bad TLV at byte {offset}: {fault}")]
    BadTlv {
        /// Where the TLV starts.
        offset: usize,
        /// What is wrong.
        fault: TlvFault,
    },
    /// The bytes changed on their way, or the sender computes the checksum wrongly.
    #[error(
        "PROXY v2: the checksum at byte {offset} is {found:#010x}, but the header's own is {computed:#010x}"
    )]
    Checksum {
        /// Where the checksum is.
        offset: usize,
        /// What is there.
        found: u32,
        /// What should be.
        computed: u32,
    },
    /// The header passed our checks, yet not the parser's.
    #[error("PROXY v2: {reason}")]
    Rejected {
        /// The parser's words.
        reason: String,
    },
}

/// What is wrong with a TLV.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlvFault {
    /// No room for a type and a length.
    #[error("too little is left for a TLV, which has at least 3 bytes: {left}")]
    Truncated {
        /// Bytes left.
        left: usize,
    },
    /// The value does not fit.
    #[error("type {kind:#04x} has the length {len}, and less is left: {left}")]
    Overrun {
        /// Its type.
        kind: u8,
        /// The length it says.
        len: usize,
        /// Bytes left for its value.
        left: usize,
    },
    /// The value has a length that its type does not allow.
    #[error("type {kind:#04x} has the length {len}, expected {expected}")]
    Length {
        /// Its type.
        kind: u8,
        /// The length it says.
        len: usize,
        /// The lengths that its type allows, in words.
        expected: &'static str,
    },
}

/// Why a header cannot be written. Nothing is ever cut to fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The unique id is longer than the specification allows.
    #[error("the unique id is {len} bytes long; a PROXY v2 header takes {max}")]
    UniqueIdTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Addresses and TLVs exceed what the length field can say.
    #[error("addresses and TLVs are {len} bytes long; a PROXY v2 header takes {max}")]
    TooLong {
        /// Their length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A path that no Unix socket can have.
    #[error("the Unix socket's path is {len} bytes long; a PROXY v2 header takes {max}")]
    UnixPathTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A TLV among `other` whose type has a field of its own.
    #[error("TLV type {kind:#04x} is among `other`, but has a field of its own: set that")]
    Misplaced {
        /// Its type.
        kind: u8,
    },
}

/// The first few bytes of something a peer sent, escaped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Excerpt(String);

impl Excerpt {
    /// Enough to tell HTTP, TLS, SSH or a garbled address apart.
    const MAX: usize = 24;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let (shown, ellipsis) = match bytes.get(..Self::MAX) {
            Some(head) if bytes.len() > Self::MAX => (head, "..."),
            Some(_) | None => (bytes, ""),
        };
        Self(format!("{}{ellipsis}", shown.escape_ascii()))
    }

    /// The escaped text: printable ASCII only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
