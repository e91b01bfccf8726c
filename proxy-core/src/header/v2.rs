//! Version 2: 16 fixed bytes, addresses, TLVs.
//!
//! Everything but the numbers in the address block is read here. `ppp` checks LOCAL against the wording of
//! the specification, loses the TLVs of UNSPEC, lets datagrams pass on a stream, looks at a TLV only when it
//! is asked for, and has neither checksum nor limit.

use std::net::SocketAddr;

use ppp::v2::Addresses;

use super::tlv::{Reader, kind};
use super::{Command, Decoded, Endpoints, Header, HeaderLimits, Tlvs, UnixPath, V2Error, Version, crc32c};

/// Bytes before the addresses.
pub(super) const FIXED: usize = 16;

/// Reads the header at the start of `buf`, which starts with the signature.
pub(super) fn decode(buf: &[u8], limits: &HeaderLimits) -> Result<Option<Decoded>, V2Error> {
    let Some(fixed) = Fixed::read(buf, limits)? else {
        return Ok(None);
    };
    let len = FIXED + fixed.len;
    let Some(whole) = buf.get(..len) else {
        if fixed.command == Command::Proxy {
            fixed.check_tlvs(buf)?;
        }
        return Ok(None);
    };
    let (endpoints, tlvs) = match fixed.command {
        // Whatever the block holds, it says nothing about the connection, and some peers fill it with
        // anything; so that what does not parse is as good as absent.
        Command::Local => (Endpoints::Unknown, fixed.read_tlvs(whole).unwrap_or_default()),
        Command::Proxy => (parse(whole)?, fixed.read_tlvs(whole)?),
    };
    let header = Header { version: Version::V2, command: fixed.command, endpoints, tlvs };
    Ok(Some(Decoded { header, len }))
}

/// Has `ppp` read the addresses of a header that is whole.
fn parse(whole: &[u8]) -> Result<Endpoints, V2Error> {
    let parsed =
        ppp::v2::Header::try_from(whole).map_err(|error| V2Error::Rejected { reason: error.to_string() })?;
    Ok(match parsed.addresses {
        Addresses::Unspecified => Endpoints::Unknown,
        Addresses::IPv4(a) => Endpoints::canonical(
            SocketAddr::new(a.source_address.into(), a.source_port),
            SocketAddr::new(a.destination_address.into(), a.destination_port),
        ),
        Addresses::IPv6(a) => Endpoints::canonical(
            SocketAddr::new(a.source_address.into(), a.source_port),
            SocketAddr::new(a.destination_address.into(), a.destination_port),
        ),
        Addresses::Unix(a) => Endpoints::Unix {
            source: UnixPath::from_field(&a.source),
            destination: UnixPath::from_field(&a.destination),
        },
    })
}

/// What the four bytes behind the signature say.
struct Fixed {
    command: Command,
    /// Where the TLVs start in the header; `None` if a LOCAL header does not tell.
    tlvs_at: Option<usize>,
    /// Bytes behind the fixed part.
    len: usize,
}

impl Fixed {
    /// `None` if they are not all there yet; each is judged when it is.
    fn read(buf: &[u8], limits: &HeaderLimits) -> Result<Option<Self>, V2Error> {
        let [first, rest @ ..] = buf.get(super::V2_SIGNATURE.len()..).unwrap_or_default() else {
            return Ok(None);
        };
        let command = read_command(*first)?;
        let [second, rest @ ..] = rest else {
            return Ok(None);
        };
        let family = match command {
            Command::Local => Family::read(*second).ok(),
            Command::Proxy => Some(Family::read(*second)?),
        };
        let Some(len) = read_length(rest, limits)? else {
            return Ok(None);
        };
        let tlvs_at = match family {
            Some(family) if len >= family.address_len() => Some(FIXED + family.address_len()),
            Some(family) if command == Command::Proxy => return Err(family.short_address(len)),
            Some(_) | None => None,
        };
        Ok(Some(Self { command, tlvs_at, len }))
    }

    /// Checks those TLVs of a header that are there.
    fn check_tlvs(&self, part: &[u8]) -> Result<(), V2Error> {
        let Some(at) = self.tlvs_at else {
            return Ok(());
        };
        Reader::partial(part.get(at..).unwrap_or_default(), FIXED + self.len - at, at).check()
    }

    /// Reads the TLVs of a whole header, and checks it against its checksum if it has one.
    fn read_tlvs(&self, whole: &[u8]) -> Result<Tlvs, V2Error> {
        let Some(at) = self.tlvs_at else {
            return Ok(Tlvs::default());
        };
        let block = whole.get(at..).unwrap_or_default();
        let tlvs = Tlvs::read(block, at)?;
        check_crc(whole, Reader::whole(block, at))?;
        Ok(tlvs)
    }
}

/// Of several checksums the first counts; the specification knows one.
fn check_crc(whole: &[u8], mut tlvs: Reader<'_>) -> Result<(), V2Error> {
    let Some(tlv) = tlvs.find_map(|tlv| tlv.ok().filter(|tlv| tlv.kind == kind::CRC32C)) else {
        return Ok(());
    };
    let offset = tlv.value_offset();
    let computed = crc32c::with_hole(whole, offset);
    match tlv.number() {
        Some(found) if found != computed => Err(V2Error::Checksum { offset, found, computed }),
        Some(_) | None => Ok(()),
    }
}

const fn read_command(byte: u8) -> Result<Command, V2Error> {
    match (byte >> 4, byte & 0x0F) {
        (2, 0) => Ok(Command::Local),
        (2, 1) => Ok(Command::Proxy),
        (2, found) => Err(V2Error::Command { found }),
        (found, _) => Err(V2Error::Version { found }),
    }
}

/// Bytes 14 and 15. The first alone may already say that the header is too long.
fn read_length(bytes: &[u8], limits: &HeaderLimits) -> Result<Option<usize>, V2Error> {
    let Some(high) = bytes.first() else {
        return Ok(None);
    };
    let low = bytes.get(1);
    let len = usize::from(u16::from_be_bytes([*high, low.copied().unwrap_or(0)]));
    if FIXED + len > limits.max_v2 {
        return Err(V2Error::TooLong { len: FIXED + len, max: limits.max_v2 });
    }
    Ok(low.map(|_| len))
}

/// What byte 13 says; of the protocols only stream makes sense here.
#[derive(Clone, Copy)]
pub(super) enum Family {
    Unspecified,
    Inet,
    Inet6,
    Unix,
}

impl Family {
    const fn read(byte: u8) -> Result<Self, V2Error> {
        match byte {
            0x00 => Ok(Self::Unspecified),
            0x11 => Ok(Self::Inet),
            0x21 => Ok(Self::Inet6),
            0x31 => Ok(Self::Unix),
            0x12 | 0x22 | 0x32 => Err(V2Error::Datagram { found: byte }),
            // Combinations such as 0x01 or 0x10 must be rejected by the specification (2.2); ppp takes them.
            found => Err(V2Error::Family { found }),
        }
    }

    /// The byte for a stream of this family.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Unspecified => 0x00,
            Self::Inet => 0x11,
            Self::Inet6 => 0x21,
            Self::Unix => 0x31,
        }
    }

    pub(super) const fn address_len(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Inet => 2 * (4 + 2),
            Self::Inet6 => 2 * (16 + 2),
            Self::Unix => 2 * UnixPath::MAX,
        }
    }

    const fn short_address(self, len: usize) -> V2Error {
        let family = match self {
            Self::Unspecified => "unspecified",
            Self::Inet => "IPv4",
            Self::Inet6 => "IPv6",
            Self::Unix => "Unix",
        };
        V2Error::ShortAddress { len, need: self.address_len(), family }
    }
}
