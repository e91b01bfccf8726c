//! What is kept of a hello: what a route can be chosen by, and what a log wants to say.

use std::fmt;
use std::net::IpAddr;

/// What a TLS client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHello {
    /// The host name asked for: lower case, without a trailing dot, a valid DNS name, never an address.
    ///
    /// `None` if the client named nobody, *and also* if what it sent is an IP literal or no DNS name, which is then the
    /// [`unusable_name`](Self::unusable_name).
    pub server_name: Option<Box<str>>,
    /// What was sent as the host name, where it is none.
    pub unusable_name: Option<UnusableName>,
    /// The application protocols offered (ALPN), in the client's order of preference, as bytes and with GREASE left
    /// in. Empty if there was no such extension.
    pub alpn: Protocols,
    /// Whether an `encrypted_client_hello` extension was there. `server_name` is then the *outer* name, that of the
    /// client-facing server. Browsers also send it filled with noise (GREASE), which cannot be told from a real one.
    pub ech: bool,
    /// The newest version offered.
    pub version: TlsVersion,
}

/// What a client sent in place of a host name.
///
/// RFC 6066 allows no such thing, but clients send addresses, and servers differ in what they make of the rest: some cut
/// `name.example:443` at the colon and go by the name before it. So it must not be taken for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableName {
    text: Box<str>,
    is_address: bool,
}

impl UnusableName {
    pub(super) fn new(sent: &[u8]) -> Self {
        let bare = sent.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(sent);
        let is_address = std::str::from_utf8(bare).is_ok_and(|text| text.parse::<IpAddr>().is_ok());
        let shown = sent.get(..LONGEST_SHOWN).unwrap_or(sent);
        let more = if shown.len() < sent.len() { "…" } else { "" };
        Self { text: format!("{}{more}", shown.escape_ascii()).into(), is_address }
    }

    /// Whether it is an IP address, which no server takes for a name.
    #[must_use]
    pub const fn is_address(&self) -> bool {
        self.is_address
    }
}

/// As many bytes of it as the longest name has (RFC 1035, section 2.3.4).
const LONGEST_SHOWN: usize = 253;

/// What was sent, in visible characters, and no more of it than of the longest name.
impl fmt::Display for UnusableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The application protocols that a client offers, in its order of preference. None of them is empty.
///
/// As they stood in its hello: there may be as many as fit there, in one piece of memory.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Protocols(Box<[u8]>);

impl Protocols {
    /// The protocols of a list in which each has its length before it, and which adds up.
    pub(super) fn of_list(list: &[u8]) -> Self {
        Self(list.into())
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first()?;
            let (protocol, behind) = behind.split_at_checked(usize::from(*len))?;
            rest = behind;
            Some(protocol)
        })
    }

    /// Whether none is offered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all but the first one that is `wanted`.
    pub fn keep_first(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        let first = self.iter().find(|protocol| wanted(protocol)).unwrap_or_default();
        let len = u8::try_from(first.len()).ok().filter(|len| *len > 0);
        self.0 = len.into_iter().chain(first.iter().copied()).collect();
    }
}

impl fmt::Debug for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(<[u8]>::escape_ascii).map(|text| text.to_string())).finish()
    }
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
