//! The PROXY header that a route's backends are sent: what is in it, and how long it may be.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};

use proxy_core::header::{Outgoing, Ssl, Tlvs};

/// The PROXY header that a backend gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendProxy {
    /// None.
    Off,
    /// Version 1.
    V1 {
        /// What is said of a client that nobody knows.
        unknown_client: UnknownClient,
    },
    /// Version 2.
    V2(HeaderContent),
}

/// What a header of version 2 holds beside the addresses, and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderContent {
    /// Which fields are sent, where they are known.
    pub fields: Fields,
    /// Which id that is.
    pub unique_id: UniqueId,
    /// The longest header, in bytes.
    pub max_header: usize,
    /// With a checksum.
    pub crc32c: bool,
    /// With the fields of a received header that the proxy does not know.
    pub pass_unknown_tlvs: bool,
    /// Who reads it.
    pub next_hop: NextHop,
}

/// A set of fields.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields(u8);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(HeaderField::ALL.into_iter().filter(|field| self.has(*field))).finish()
    }
}

impl Fields {
    /// Every one.
    pub const ALL: Self = Self::of(&HeaderField::ALL);

    #[expect(
        clippy::indexing_slicing,
        reason = "bounded by the loop's condition; a const fn has no iterators"
    )]
    /// These.
    #[must_use]
    pub const fn of(fields: &[HeaderField]) -> Self {
        let (mut set, mut n) = (0, 0);
        while n < fields.len() {
            set |= 1 << fields[n] as u8;
            n += 1;
        }
        Self(set)
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn has(self, field: HeaderField) -> bool {
        self.0 & (1 << field as u8) != 0
    }
}

/// What the backends of a route are, as far as the PROXY header goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum NextHop {
    /// Anything that takes a PROXY header.
    #[default]
    Other,
    /// Another SmartProxy: it is told that a client is unknown, and gets every field.
    Smartproxy,
}

/// What a PROXY header of version 1 says of a client whose address no hop knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum UnknownClient {
    /// The proxy's own address, as if it spoke for itself: every receiver takes it.
    OwnAddress,
    /// `PROXY UNKNOWN`.
    Unknown,
}

/// Something that a PROXY header of version 2 says beside the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum HeaderField {
    /// The connection's id.
    UniqueId,
    /// The name that the client asks for.
    Authority,
    /// The protocol that was agreed upon with the client, or the one that it prefers where its TLS passes through.
    Alpn,
    /// What is known of the client's TLS that ends here, or ended on a hop before.
    Ssl,
}

impl HeaderField {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::UniqueId, Self::Authority, Self::Alpn, Self::Ssl];
}

/// Which id a header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum UniqueId {
    /// Those of the hops before and our own.
    #[default]
    Trail,
    /// The one that came, untouched; our own where none came.
    Received,
    /// Our own.
    Own,
}

impl HeaderContent {
    /// The longest header that every receiver of `docs/receivers.md` takes which takes version 2 at all (nginx before
    /// 1.23 as a stream has the least room).
    pub const EVERYBODYS: usize = 107;
    /// What another SmartProxy takes unless its `[proxy_protocol] max_header` says otherwise.
    pub const SMARTPROXYS: usize = 4096;

    /// The longest header that is sent, in bytes, where one of `received` bytes may have come, and the trail is as long as it
    /// can be.
    #[must_use]
    pub fn longest_in_a_chain(&self, received: usize) -> usize {
        let content = match self.unique_id {
            UniqueId::Trail => Self { unique_id: UniqueId::Received, ..*self },
            UniqueId::Received | UniqueId::Own => *self,
        };
        content.longest(Known { hello: true, header: Some(received) }).min(self.max_header)
    }

    /// The longest header that there may be to send, in bytes. Of a trail only our own id counts: the others give way.
    #[must_use]
    pub fn longest(&self, known: Known) -> usize {
        // A connection's id is 25 characters at most, one that came 128 (PROXY protocol, section 2.2.5), a name 255
        // (RFC 1035, section 2.3.4), the name of a protocol 255 (RFC 7301, section 3.1).
        const OWN_ID: usize = 25;
        const ID: usize = 128;
        const NAME: usize = 255;
        const PROTOCOL: usize = 255;
        let id = match self.unique_id {
            UniqueId::Received if known.header.is_some() => ID,
            UniqueId::Trail | UniqueId::Received | UniqueId::Own => OWN_ID,
        };
        let is_read = known.hello || known.header.is_some();
        let field = |field, len, is_known| (is_known && self.fields.has(field)).then(|| vec![0; len]);
        let tlvs = Tlvs {
            unique_id: field(HeaderField::UniqueId, id, true),
            authority: field(HeaderField::Authority, NAME, is_read),
            alpn: field(HeaderField::Alpn, PROTOCOL, is_read),
            ssl: (is_read && self.fields.has(HeaderField::Ssl)).then(|| Box::new(longest_ssl(NAME))),
            ..Tlvs::default()
        };
        let ipv6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let sum = Outgoing { tlvs, crc32c: self.crc32c, ..Outgoing::proxy(ipv6, ipv6) }.encoded_len();
        let passed_on = known.header.filter(|_| self.pass_unknown_tlvs).unwrap_or(0);
        sum.max(passed_on)
    }
}

/// The longest of our own: the name of a version, that of a cipher suite, and a common name of so many bytes.
fn longest_ssl(name: usize) -> Ssl {
    let (version, cipher) = ("TLSv1.3", "ECDHE-ECDSA-CHACHA20-POLY1305");
    let field = |len| Some(vec![0; len]);
    Ssl { version: field(version.len()), cipher: field(cipher.len()), cn: field(name), ..Ssl::default() }
}

/// What connections of a route may come with.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// A ClientHello that is read.
    pub hello: bool,
    /// A header, and how long it may be.
    pub header: Option<usize>,
}

impl SendProxy {
    /// Whether the next hop learns a connection's id.
    #[must_use]
    pub const fn tells_id(&self) -> bool {
        match self {
            Self::Off | Self::V1 { .. } => false,
            Self::V2(content) => content.fields.has(HeaderField::UniqueId),
        }
    }
}
