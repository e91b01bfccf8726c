//! Type-length-value fields behind the addresses of a v2 header, and inside the one about TLS.

use super::{TlvFault, V2Error};

/// Types that have a field of their own in [`Tlvs`] or [`Ssl`].
pub(super) mod kind {
    pub(in super::super) const ALPN: u8 = 0x01;
    pub(in super::super) const AUTHORITY: u8 = 0x02;
    pub(in super::super) const CRC32C: u8 = 0x03;
    pub(in super::super) const NOOP: u8 = 0x04;
    pub(in super::super) const UNIQUE_ID: u8 = 0x05;
    pub(in super::super) const SSL: u8 = 0x20;
    pub(in super::super) const SSL_VERSION: u8 = 0x21;
    pub(in super::super) const SSL_CN: u8 = 0x22;
    pub(in super::super) const SSL_CIPHER: u8 = 0x23;
    pub(in super::super) const SSL_SIG_ALG: u8 = 0x24;
    pub(in super::super) const SSL_KEY_ALG: u8 = 0x25;
    pub(in super::super) const NETNS: u8 = 0x30;
}

/// Longest unique id, in bytes, by the specification (2.2.5).
pub(super) const MAX_UNIQUE_ID: usize = 128;

/// What a v2 header says besides the addresses. All values are as the peer wrote them, unchecked text
/// included: escape before logging.
///
/// A type may come more than once; the first counts. The others are checked and dropped rather than passed
/// on, since the next hop might believe the last and so route by a name that we have not seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tlvs {
    /// 0x01: the application protocol in use above, as ALPN names it.
    pub alpn: Option<Vec<u8>>,
    /// 0x02: the host name that the client asked for (SNI).
    pub authority: Option<Vec<u8>>,
    /// 0x05: what identifies the connection across hops, 128 bytes at most.
    pub unique_id: Option<Vec<u8>>,
    /// 0x20: the TLS connection that the client made to the hop before. Boxed because it is rare and large.
    pub ssl: Option<Box<Ssl>>,
    /// 0x30: the name of the network namespace.
    pub netns: Option<Vec<u8>>,
    /// 0x03: the checksum, which was right. When writing, [`super::Outgoing::crc32c`] decides instead.
    pub crc32c: Option<u32>,
    /// All other types in the order they came, to be passed on: 0xEA is Amazon's (the VPC endpoint), 0xEE
    /// Azure's (the private link), 0xE0 Google's (the private service connection).
    pub other: Vec<(u8, Vec<u8>)>,
}

impl Tlvs {
    /// The authority, if it is UTF-8. The specification wants it to be, but nothing fails because of it.
    #[must_use]
    pub fn authority_str(&self) -> Option<&str> {
        str::from_utf8(self.authority.as_deref()?).ok()
    }

    /// Reads a whole block of TLVs that starts at `offset` of the header.
    pub(super) fn read(block: &[u8], offset: usize) -> Result<Self, V2Error> {
        let mut tlvs = Self::default();
        for tlv in Reader::whole(block, offset) {
            tlvs.keep(&tlv?)?;
        }
        Ok(tlvs)
    }

    fn keep(&mut self, tlv: &RawTlv<'_>) -> Result<(), V2Error> {
        match tlv.kind {
            kind::ALPN => first(&mut self.alpn, tlv),
            kind::AUTHORITY => first(&mut self.authority, tlv),
            kind::UNIQUE_ID => first(&mut self.unique_id, tlv),
            kind::NETNS => first(&mut self.netns, tlv),
            kind::CRC32C => self.crc32c = self.crc32c.or_else(|| tlv.number()),
            kind::SSL => {
                let ssl = Ssl::read(tlv)?;
                self.ssl.get_or_insert_with(|| Box::new(ssl));
            }
            kind::NOOP => {}
            other => self.other.push((other, tlv.value.to_vec())),
        }
        Ok(())
    }
}

fn first(slot: &mut Option<Vec<u8>>, tlv: &RawTlv<'_>) {
    slot.get_or_insert_with(|| tlv.value.to_vec());
}

/// The TLS connection that the client made to the hop before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ssl {
    /// Bits: 0x01 the client used TLS, 0x02 it gave a certificate on this connection, 0x04 it gave one at
    /// least once in this session.
    pub client: u8,
    /// 0 if the client gave a certificate and it was found good, anything else otherwise.
    pub verify: u32,
    /// 0x21: the version of TLS, as text.
    pub version: Option<Vec<u8>>,
    /// 0x22: the common name in the client's certificate.
    pub cn: Option<Vec<u8>>,
    /// 0x23: the cipher suite.
    pub cipher: Option<Vec<u8>>,
    /// 0x24: what the certificate shown to the client was signed with.
    pub sig_alg: Option<Vec<u8>>,
    /// 0x25: the kind of key in the certificate shown to the client.
    pub key_alg: Option<Vec<u8>>,
    /// All other types in the order they came, to be passed on.
    pub other: Vec<(u8, Vec<u8>)>,
}

impl Ssl {
    /// Bytes of the client's flags and the result of the verification.
    pub(super) const FIXED: usize = 5;

    fn read(tlv: &RawTlv<'_>) -> Result<Self, V2Error> {
        // INVARIANT: the reader has refused shorter values, so that this default is never taken.
        let Some((&[client, verify @ ..], _)) = tlv.value.split_first_chunk::<{ Self::FIXED }>() else {
            return Ok(Self::default());
        };
        let mut ssl = Self { client, verify: u32::from_be_bytes(verify), ..Self::default() };
        for sub in Self::sub_tlvs(tlv) {
            ssl.keep(&sub?);
        }
        Ok(ssl)
    }

    fn sub_tlvs<'a>(tlv: &RawTlv<'a>) -> Reader<'a> {
        Reader::whole(tlv.value.get(Self::FIXED..).unwrap_or_default(), tlv.value_offset() + Self::FIXED)
            .inside_ssl()
    }

    fn keep(&mut self, tlv: &RawTlv<'_>) {
        match tlv.kind {
            kind::SSL_VERSION => first(&mut self.version, tlv),
            kind::SSL_CN => first(&mut self.cn, tlv),
            kind::SSL_CIPHER => first(&mut self.cipher, tlv),
            kind::SSL_SIG_ALG => first(&mut self.sig_alg, tlv),
            kind::SSL_KEY_ALG => first(&mut self.key_alg, tlv),
            other => self.other.push((other, tlv.value.to_vec())),
        }
    }
}

/// One TLV where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawTlv<'a> {
    pub(super) kind: u8,
    pub(super) value: &'a [u8],
    /// Where it starts in the header.
    offset: usize,
}

impl RawTlv<'_> {
    /// Bytes of the type and the length.
    pub(super) const HEAD: usize = 3;

    pub(super) const fn value_offset(&self) -> usize {
        self.offset + Self::HEAD
    }

    /// The value of a checksum.
    pub(super) fn number(&self) -> Option<u32> {
        self.value.first_chunk().copied().map(u32::from_be_bytes)
    }
}

/// Yields the TLVs of a block, of which perhaps only the first part is there yet: it then stops, without an
/// error, at the first TLV that is not whole. After an error it is spent.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    have: &'a [u8],
    /// Bytes from here to the end of the block, whether they are there or not.
    left: usize,
    offset: usize,
    in_ssl: bool,
}

impl<'a> Reader<'a> {
    /// A block that is all there.
    pub(super) const fn whole(block: &'a [u8], offset: usize) -> Self {
        Self::partial(block, block.len(), offset)
    }

    /// A block of `len` bytes that starts with `have`.
    pub(super) const fn partial(have: &'a [u8], len: usize, offset: usize) -> Self {
        Self { have, left: len, offset, in_ssl: false }
    }

    const fn inside_ssl(self) -> Self {
        Self { in_ssl: true, ..self }
    }

    /// Checks everything that is there.
    pub(super) fn check(self) -> Result<(), V2Error> {
        for tlv in self {
            let tlv = tlv?;
            if tlv.kind == kind::SSL {
                Ssl::sub_tlvs(&tlv).try_for_each(|sub| sub.map(drop))?;
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<RawTlv<'a>>, TlvFault> {
        if self.left == 0 {
            return Ok(None);
        }
        let Some(left) = self.left.checked_sub(RawTlv::HEAD) else {
            return Err(TlvFault::Truncated { left: self.left });
        };
        let Some((&[kind, high, low], rest)) = self.have.split_first_chunk() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > left {
            return Err(TlvFault::Overrun { kind, len, left });
        }
        if !self.in_ssl {
            check_length(kind, len)?;
        }
        let Some((value, rest)) = rest.split_at_checked(len) else {
            return Ok(None);
        };
        let tlv = RawTlv { kind, value, offset: self.offset };
        *self = Self { have: rest, left: left - len, offset: tlv.value_offset() + len, ..*self };
        Ok(Some(tlv))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<RawTlv<'a>, V2Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset;
        self.read()
            .map_err(|fault| {
                self.left = 0;
                V2Error::BadTlv { offset, fault }
            })
            .transpose()
    }
}

const fn check_length(kind: u8, len: usize) -> Result<(), TlvFault> {
    let expected = match kind {
        kind::CRC32C if len != 4 => "4",
        kind::UNIQUE_ID if len > MAX_UNIQUE_ID => "at most 128",
        kind::SSL if len < Ssl::FIXED => "at least 5",
        _ => return Ok(()),
    };
    Err(TlvFault::Length { kind, len, expected })
}
