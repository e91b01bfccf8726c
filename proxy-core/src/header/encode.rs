//! Writing headers for the next hop.
//!
//! The layout is fixed and tiny, so it is written directly: `ppp`'s builder turns addresses of two families
//! into UNKNOWN without a word and has no checksum.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::model::canonical;
use super::tlv::{MAX_UNIQUE_ID, RawTlv, kind};
use super::v2::{FIXED, Family};
use super::{Command, EncodeError, Endpoints, Ssl, Tlvs, UnixPath, V2_SIGNATURE, crc32c};

/// The one v1 line without an address that HAProxy takes, although the specification allows more.
const UNKNOWN_LINE: &[u8] = b"PROXY UNKNOWN\r\n";

/// Bytes of a checksum.
const CRC_LEN: usize = 4;

/// A v2 header to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Whether we speak for a client.
    pub command: Command,
    /// The two ends of that client's connection.
    pub endpoints: Endpoints,
    /// What else to say. Under LOCAL it should be nothing, unless the receiver is known to read it: other senders' LOCAL
    /// has none, and not every receiver takes it then. [`Tlvs::crc32c`] is not looked at.
    pub tlvs: Tlvs,
    /// Whether to add a checksum.
    pub crc32c: bool,
}

impl Outgoing {
    /// On behalf of the client that connected from `source` to `destination`, without TLVs.
    #[must_use]
    pub fn proxy(source: SocketAddr, destination: SocketAddr) -> Self {
        let endpoints = Endpoints::Inet { source, destination };
        Self { command: Command::Proxy, endpoints, tlvs: Tlvs::default(), crc32c: false }
    }

    /// On our own behalf, as for a health check.
    #[must_use]
    pub fn local() -> Self {
        Self { command: Command::Local, endpoints: Endpoints::Unknown, tlvs: Tlvs::default(), crc32c: false }
    }

    /// Bytes that [`encode_v2`] makes of it, where it does not fail.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let checksum = if self.crc32c { RawTlv::HEAD + CRC_LEN } else { 0 };
        FIXED + self.spoken_of().family().address_len() + checksum + tlvs_len(&self.tlvs)
    }

    /// The endpoints that are written: none under LOCAL.
    const fn spoken_of(&self) -> &Endpoints {
        match self.command {
            Command::Local => &Endpoints::Unknown,
            Command::Proxy => &self.endpoints,
        }
    }
}

/// Writes a v1 line. If only one of the two addresses is IPv6, the other is written as `::ffff:192.0.2.7`;
/// without addresses, or with those of Unix sockets, the line is `PROXY UNKNOWN`.
#[must_use]
pub fn encode_v1(endpoints: &Endpoints) -> Vec<u8> {
    let Endpoints::Inet { source, destination } = endpoints else {
        return UNKNOWN_LINE.to_vec();
    };
    let (transport, from, to) = match OneFamily::of(*source, *destination) {
        OneFamily::V4(from, to) => ("TCP4", IpAddr::from(from), IpAddr::from(to)),
        OneFamily::V6(from, to) => ("TCP6", IpAddr::from(from), IpAddr::from(to)),
    };
    format!("PROXY {transport} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// Writes a v2 header. If only one of the two addresses is IPv6, the other is mapped to `::ffff:0:0/96`.
///
/// Where there is no address it is LOCAL with an unspecified family, whatever the command: HAProxy takes nothing else
/// there. A LOCAL header without TLVs has length 0, or 7 with a checksum, as everybody's.
///
/// # Errors
/// [`EncodeError`] if a value is longer than its place, or a TLV is given twice over by way of `other`.
pub fn encode_v2(header: &Outgoing) -> Result<Vec<u8>, EncodeError> {
    let endpoints = header.spoken_of();
    let command = match endpoints {
        Endpoints::Unknown => Command::Local,
        Endpoints::Inet { .. } | Endpoints::Unix { .. } => Command::Proxy,
    };
    let mut block = Vec::new();
    let family = put_addresses(&mut block, endpoints);
    let crc_at = header.crc32c.then_some(FIXED + block.len() + RawTlv::HEAD);
    if header.crc32c {
        put(&mut block, kind::CRC32C, &[0; CRC_LEN])?;
    }
    put_tlvs(&mut block, &header.tlvs)?;
    let mut bytes = finish(command, family, &block)?;
    if let Some(at) = crc_at {
        let sum = crc32c::with_hole(&bytes, at).to_be_bytes();
        bytes.splice(at..at + sum.len(), sum);
    }
    Ok(bytes)
}

fn finish(command: Command, family: Family, block: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let command = match command {
        Command::Local => 0x20,
        Command::Proxy => 0x21,
    };
    let mut bytes = V2_SIGNATURE.to_vec();
    bytes.extend([command, family.byte()]);
    bytes.extend(length(block.len())?);
    bytes.extend(block);
    Ok(bytes)
}

fn length(len: usize) -> Result<[u8; 2], EncodeError> {
    let max = usize::from(u16::MAX);
    u16::try_from(len).map(u16::to_be_bytes).map_err(|_| EncodeError::TooLong { len, max })
}

/// Two addresses that can share a header.
enum OneFamily {
    V4(std::net::Ipv4Addr, std::net::Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl OneFamily {
    /// IPv4 if both can be: a dual-stack socket reports IPv4 peers as mapped.
    fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        match (canonical(source).ip(), canonical(destination).ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Self::V4(from, to),
            (from, to) => Self::V6(mapped(from), mapped(to)),
        }
    }
}

const fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Endpoints {
    /// As which they are written.
    fn family(&self) -> Family {
        match self {
            Self::Unknown => Family::Unspecified,
            Self::Inet { source, destination } => match OneFamily::of(*source, *destination) {
                OneFamily::V4(..) => Family::Inet,
                OneFamily::V6(..) => Family::Inet6,
            },
            Self::Unix { .. } => Family::Unix,
        }
    }
}

fn put_addresses(block: &mut Vec<u8>, endpoints: &Endpoints) -> Family {
    match endpoints {
        Endpoints::Unknown => Family::Unspecified,
        Endpoints::Inet { source, destination } => put_inet(block, *source, *destination),
        Endpoints::Unix { source, destination } => {
            for path in [source, destination] {
                let end = block.len() + UnixPath::MAX;
                block.extend(path.as_bytes());
                block.resize(end, 0);
            }
            Family::Unix
        }
    }
}

fn put_inet(block: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) -> Family {
    let family = match OneFamily::of(source, destination) {
        OneFamily::V4(from, to) => {
            block.extend(from.octets());
            block.extend(to.octets());
            Family::Inet
        }
        OneFamily::V6(from, to) => {
            block.extend(from.octets());
            block.extend(to.octets());
            Family::Inet6
        }
    };
    block.extend(source.port().to_be_bytes());
    block.extend(destination.port().to_be_bytes());
    family
}

/// Bytes that [`put_tlvs`] puts.
fn tlvs_len(tlvs: &Tlvs) -> usize {
    let Tlvs { alpn, authority, unique_id, ssl, netns, crc32c: _, other } = tlvs;
    let ssl = ssl.as_ref().map_or(0, |ssl| RawTlv::HEAD + ssl_len(ssl));
    [alpn, authority, unique_id, netns].into_iter().map(some_len).sum::<usize>() + ssl + other_len(other)
}

fn ssl_len(ssl: &Ssl) -> usize {
    let Ssl { client: _, verify: _, version, cn, cipher, sig_alg, key_alg, other } = ssl;
    let known = [version, cn, cipher, sig_alg, key_alg].into_iter().map(some_len).sum::<usize>();
    Ssl::FIXED + known + other_len(other)
}

fn some_len(value: &Option<Vec<u8>>) -> usize {
    value.as_ref().map_or(0, |value| RawTlv::HEAD + value.len())
}

fn other_len(other: &[(u8, Vec<u8>)]) -> usize {
    other.iter().map(|(_, value)| RawTlv::HEAD + value.len()).sum()
}

fn put_tlvs(block: &mut Vec<u8>, tlvs: &Tlvs) -> Result<(), EncodeError> {
    let Tlvs { alpn, authority, unique_id, ssl, netns, crc32c: _, other } = tlvs;
    if let Some(id) = unique_id.as_ref().filter(|id| id.len() > MAX_UNIQUE_ID) {
        return Err(EncodeError::UniqueIdTooLong { len: id.len(), max: MAX_UNIQUE_ID });
    }
    put_some(block, kind::ALPN, alpn)?;
    put_some(block, kind::AUTHORITY, authority)?;
    put_some(block, kind::UNIQUE_ID, unique_id)?;
    if let Some(ssl) = ssl {
        let mut value = Vec::new();
        put_ssl(&mut value, ssl)?;
        put(block, kind::SSL, &value)?;
    }
    put_some(block, kind::NETNS, netns)?;
    use kind::{ALPN, AUTHORITY, CRC32C, NETNS, NOOP, SSL, UNIQUE_ID};
    put_other(block, other, &[ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS])
}

fn put_ssl(value: &mut Vec<u8>, ssl: &Ssl) -> Result<(), EncodeError> {
    let Ssl { client, verify, version, cn, cipher, sig_alg, key_alg, other } = ssl;
    value.push(*client);
    value.extend(verify.to_be_bytes());
    put_some(value, kind::SSL_VERSION, version)?;
    put_some(value, kind::SSL_CN, cn)?;
    put_some(value, kind::SSL_CIPHER, cipher)?;
    put_some(value, kind::SSL_SIG_ALG, sig_alg)?;
    put_some(value, kind::SSL_KEY_ALG, key_alg)?;
    use kind::{SSL_CIPHER, SSL_CN, SSL_KEY_ALG, SSL_SIG_ALG, SSL_VERSION};
    put_other(value, other, &[SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_SIG_ALG, SSL_KEY_ALG])
}

/// Refuses the types that have a field: a receiver would take the wrong one of two, or for a checksum what
/// is none.
fn put_other(block: &mut Vec<u8>, other: &[(u8, Vec<u8>)], fields: &[u8]) -> Result<(), EncodeError> {
    for (kind, value) in other {
        if fields.contains(kind) {
            return Err(EncodeError::Misplaced { kind: *kind });
        }
        put(block, *kind, value)?;
    }
    Ok(())
}

fn put_some(block: &mut Vec<u8>, kind: u8, value: &Option<Vec<u8>>) -> Result<(), EncodeError> {
    value.as_ref().map_or(Ok(()), |value| put(block, kind, value))
}

fn put(block: &mut Vec<u8>, kind: u8, value: &[u8]) -> Result<(), EncodeError> {
    block.push(kind);
    block.extend(length(value.len())?);
    block.extend(value);
    Ok(())
}
