//! PROXY protocol, versions 1 and 2: what the hop before us says about the real client.
//!
//! [`read`] reads a header from a stream, by a deadline and within [`HeaderLimits`]. Below it, [`decode`] and the encoders are
//! sans-IO: bytes in, a [`Header`] out (and back), with no socket, no clock and no buffer. Which peers may send a header is
//! the caller's decision. Nothing in this module detects a header on behalf of an untrusted peer: [`could_be_header`] is
//! there to *refuse* such a peer, not to trust it.
//!
//! ```text
//! v1   PROXY TCP4 192.0.2.7 198.51.100.1 52953 443 CR LF      one line, at most 107 bytes
//!
//! v2    0               12        13        14       16
//!      +---------------+---------+---------+--------+-------------------+------------------------+
//!      | 0D 0A 0D 0A   | version | family  | length | addresses         | TLVs                   |
//!      | 00 0D 0A 51   | ------- | ------- | of     |  0 unspecified    | type  length  value    |
//!      | 55 49 54 0A   | command | protocol| what   | 12 TCP over IPv4  | 1     2       length   |
//!      | (signature)   | 4 bit   | 4 bit   | follows| 36 TCP over IPv6  | ... up to the end      |
//!      |               | each    | each    |        | 216 Unix stream   |                        |
//!      +---------------+---------+---------+--------+-------------------+------------------------+
//!        all numbers big-endian; length counts the addresses and the TLVs, not these 16 bytes
//! ```
//!
//! The framing is our own and addresses are read by the `ppp` crate, which is handed whole headers only:
//! on its own it refuses some good v1 lines that arrive in two pieces, and waits for ever on some bad ones.
//!
//! ```
//! use proxy_core::header::{HeaderLimits, decode};
//!
//! let bytes = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\nGET / HTTP/1.1\r\n";
//! let decoded = decode(bytes, &HeaderLimits::default())?.expect("the header is whole");
//! assert_eq!(decoded.header.endpoints.source(), Some("192.0.2.7:52953".parse().unwrap()));
//! assert_eq!(&bytes[decoded.len..], b"GET / HTTP/1.1\r\n");
//! # Ok::<(), proxy_core::header::HeaderError>(())
//! ```

mod crc32c;
mod encode;
mod error;
mod model;
mod read;
mod tlv;
mod v1;
mod v2;

pub use encode::{Outgoing, encode_v1, encode_v2};
pub use error::{EncodeError, Excerpt, HeaderError, TlvFault, V1Error, V1Field, V2Error};
pub use model::{Command, Endpoints, Header, UnixPath, Version};
pub use read::{ReadError, read, take};
pub use tlv::{Ssl, Tlvs};

/// What every v1 header starts with.
const V1_SIGNATURE: &[u8] = b"PROXY ";
/// What every v2 header starts with: chosen so that no HTTP, SMTP or TLS parser likes it.
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A whole header that was found at the start of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What the header says.
    pub header: Header,
    /// Bytes the header takes in the buffer; what the client itself sent follows.
    pub len: usize,
}

/// Bounds on what a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderLimits {
    /// Longest v2 header accepted, in bytes, counting its 16 fixed bytes. Default 4096: the format allows
    /// 65 551, of which a peer could make us hold every byte; a header with a certificate's name, an
    /// authority and a unique id needs a few hundred.
    ///
    /// Below 52 no TCP over IPv6 passes, below 232 no Unix socket.
    pub max_v2: usize,
}

impl HeaderLimits {
    /// The size of a buffer, in bytes, that holds any header these limits accept.
    #[must_use]
    pub const fn buffer_len(&self) -> usize {
        if self.max_v2 > v1::MAX_LINE { self.max_v2 } else { v1::MAX_LINE }
    }
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self { max_v2: 4096 }
    }
}

proxy_values::setters!(HeaderLimits { max_v2: usize });

/// Whether bytes are the start of a PROXY header, judged by the signatures alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// They are not, and no further byte changes that.
    No,
    /// They are too few to tell.
    Partial,
    /// They are: a whole signature is there.
    Yes,
}

/// Whether `buf` starts, or with more bytes may start, with the signature of a PROXY header.
///
/// Meant to screen peers that are not trusted to speak for a client: theirs is refused on `Yes`. It looks at
/// 12 bytes at most and says nothing of whether the header is well formed.
#[must_use]
pub fn could_be_header(buf: &[u8]) -> Prefix {
    if buf.starts_with(V1_SIGNATURE) || buf.starts_with(V2_SIGNATURE) {
        Prefix::Yes
    } else if V1_SIGNATURE.starts_with(buf) || V2_SIGNATURE.starts_with(buf) {
        Prefix::Partial
    } else {
        Prefix::No
    }
}

/// Reads the header at the start of `buf`, which holds everything received so far.
///
/// `Ok(None)` means that the bytes are the beginning of a header and more are needed. A verdict is final:
/// after an error every longer `buf` is an error too, and after `Some` every longer `buf` gives the same.
/// It comes with the first byte that no header has in its place, with three exceptions: the head of a TLV is
/// judged when its three bytes are there, the TLVs inside the one about TLS when that is whole, and a checksum
/// when the header is.
///
/// Each call starts from the first byte and keeps nothing. The work is at most linear in the length of the
/// header, which `limits` bounds.
///
/// # Errors
/// [`HeaderError`] if the bytes are not, and cannot become, a header within `limits`. The connection should
/// then be closed: where the payload would start is not known.
pub fn decode(buf: &[u8], limits: &HeaderLimits) -> Result<Option<Decoded>, HeaderError> {
    match could_be_header(buf) {
        Prefix::No => Err(HeaderError::NotAHeader { found: Excerpt::of(buf) }),
        Prefix::Partial => Ok(None),
        Prefix::Yes if buf.starts_with(V1_SIGNATURE) => Ok(v1::decode(buf)?),
        Prefix::Yes => Ok(v2::decode(buf, limits)?),
    }
}
