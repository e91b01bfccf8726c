//! Side by side with the crate `proxy-header`, on good headers and on broken ones.
//!
//! # Agreed differences
//! What we refuse and `proxy-header` 0.1.3 takes, each with our reason:
//! - `Fields`: v1 with a sign or leading zeros in a port, a sixth byte that is not a space, `UNKNOWN` with
//!   letters glued to it, or LF in its junk. The specification wants the first three plain; a bare LF would
//!   let two parsers disagree on where the line ends.
//! - `LongLine`: v1 beyond 107 bytes. It only limits lines that are not whole yet.
//! - `Datagram`: v2 for UDP, over a stream.
//! - `TooLong`: v2 beyond our limit. It has none.
//! - `Tlvs`: bad TLVs and wrong checksums. It looks at TLVs when asked, and never computes a checksum.
//!
//! What we take and it does not:
//! - `LocalFamily`: LOCAL with a family that does not exist or does not fit, which is to be ignored.
//!   (It may even ask for bytes that the length does not promise.)
//! - `Families`: v1 whose destination is not of the announced family, as nginx writes it.
//! - `Text`: strings that are not UTF-8. We keep bytes (seen when comparing TLVs).
//!
//! What both take, with other words:
//! - `Early`: it calls a hopeless piece "too short" until it looks whole; we refuse it at once.
//! - Addresses: ours are canonical. Of Unix sockets it tells none. TLVs: ours under LOCAL are empty unless
//!   all of them are good and the family tells where they start.

use proptest::prelude::*;
use proxy_core::header::{Decoded, Endpoints, HeaderError, HeaderLimits, Ssl, Tlvs, V1Error, V2Error};
use proxy_header::{Error, ParseConfig, ProxiedAddress, ProxyHeader, SslInfo, Tlv};

use super::samples::{SIGNATURE, all, decode, tlv, v2};

fn oracle(bytes: &[u8]) -> Result<(ProxyHeader<'_>, usize), Error> {
    ProxyHeader::parse(bytes, ParseConfig { include_tlvs: true, allow_v1: true, allow_v2: true })
}

#[derive(Debug, PartialEq)]
enum Difference {
    None,
    Fields,
    LongLine,
    Datagram,
    TooLong,
    Tlvs,
    LocalFamily,
    Families,
    Early,
    Unexplained,
}

/// Says how the two differ, and makes sure from the bytes alone that the excuse holds.
fn compare(bytes: &[u8]) -> Difference {
    match (decode(bytes), oracle(bytes)) {
        (Ok(Some(ours)), Ok((theirs, len))) if ours.len == len && same(bytes, &ours, &theirs) => {
            Difference::None
        }
        (Err(_), Err(Error::BufferTooShort)) => Difference::Early,
        (Ok(None), Err(Error::BufferTooShort)) | (Err(_), Err(_)) => Difference::None,
        (Err(ours), Ok((theirs, len))) => refused(bytes, &ours, &theirs, len),
        (Ok(Some(_)), Err(Error::Invalid | Error::BufferTooShort))
            if bytes.get(12) == Some(&0x20) && !fits(bytes) =>
        {
            Difference::LocalFamily
        }
        (Ok(_), Err(Error::Invalid)) if has_two_families(bytes) => Difference::Families,
        _ => Difference::Unexplained,
    }
}

/// Whether it is a v1 line whose destination is written as one of the family that was not announced.
fn has_two_families(bytes: &[u8]) -> bool {
    let mut words = bytes.split(|byte| *byte == b' ').skip(1);
    let announced = words.next();
    let destination = words.nth(1).unwrap_or_default();
    match announced {
        Some(b"TCP4") => destination.contains(&b':'),
        Some(b"TCP6") => destination.contains(&b'.') && !destination.contains(&b':'),
        _ => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not listed is not agreed to")]
fn refused(bytes: &[u8], ours: &HeaderError, theirs: &ProxyHeader<'_>, len: usize) -> Difference {
    let len_v2 = || 16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    match ours {
        // It does not look at the sixth byte.
        HeaderError::NotAHeader { .. } if bytes.starts_with(b"PROXY") && bytes[5] != b' ' => {
            Difference::Fields
        }
        HeaderError::V1(V1Error::TooLong { .. }) if len > 107 => Difference::LongLine,
        HeaderError::V1(V1Error::Port { offset, .. }) if matches!(bytes[*offset], b'+' | b'0') => {
            Difference::Fields
        }
        HeaderError::V1(V1Error::Transport { .. }) if bytes[6..].starts_with(b"UNKNOWN") => {
            Difference::Fields
        }
        HeaderError::V1(V1Error::BareLf { offset })
            if bytes[6..].starts_with(b"UNKNOWN") && *offset < len =>
        {
            Difference::Fields
        }
        HeaderError::V2(V2Error::Datagram { .. }) if bytes[13] & 15 == 2 => Difference::Datagram,
        HeaderError::V2(V2Error::TooLong { max: 4096, .. }) if len_v2() > 4096 => Difference::TooLong,
        HeaderError::V2(V2Error::Checksum { found, .. }) if theirs.crc32c() == Some(*found) => {
            Difference::Tlvs
        }
        // Its own look at the TLVs finds the same, unless they are too long or inside the one about TLS.
        HeaderError::V2(V2Error::BadTlv { .. }) if broken(theirs) => Difference::Tlvs,
        _ => Difference::Unexplained,
    }
}

fn broken(theirs: &ProxyHeader<'_>) -> bool {
    theirs.tlvs().any(|tlv| match tlv {
        Err(_) => true,
        Ok(Tlv::UniqueId(id)) => id.len() > 128,
        Ok(Tlv::Ssl(ssl)) => ssl.tlvs().any(|sub| sub.is_err()),
        Ok(_) => false,
    })
}

/// Whether the family exists and its addresses fit.
fn fits(bytes: &[u8]) -> bool {
    let need = match bytes[13] {
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => return false,
    };
    u16::from_be_bytes([bytes[14], bytes[15]]) >= need
}

fn same(bytes: &[u8], ours: &Decoded, theirs: &ProxyHeader<'_>) -> bool {
    let canonical = |a: &ProxiedAddress| {
        [a.source, a.destination].map(|a| std::net::SocketAddr::new(a.ip().to_canonical(), a.port()))
    };
    let endpoints = &ours.header.endpoints;
    let addresses = endpoints.source().zip(endpoints.destination()).map(<[_; 2]>::from);
    let local = bytes.get(12) == Some(&0x20) && bytes.starts_with(SIGNATURE);
    let excused =
        broken(theirs) || theirs.crc32c().is_some() || bytes.get(13).is_some_and(|family| family & 15 == 2);
    let dropped = local && ours.header.tlvs == Tlvs::default() && excused;
    let is_unix = matches!(endpoints, Endpoints::Unix { .. })
        == (!local && bytes.get(13) == Some(&0x31) && bytes[0] == b'\r');
    addresses == theirs.proxied_address().map(canonical)
        && is_unix
        && (dropped || same_tlvs(&ours.header.tlvs, theirs))
}

fn same_tlvs(ours: &Tlvs, theirs: &ProxyHeader<'_>) -> bool {
    let ssl = match (&ours.ssl, theirs.ssl()) {
        (Some(ours), Some(theirs)) => same_ssl(ours, &theirs),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    ssl && ours.alpn.as_deref() == theirs.alpn()
        && ours.unique_id.as_deref() == theirs.unique_id()
        && ours.crc32c == theirs.crc32c()
        && same_text(ours.authority.as_deref(), theirs.authority())
        && same_text(ours.netns.as_deref(), theirs.netns())
}

fn same_ssl(ours: &Ssl, theirs: &SslInfo<'_>) -> bool {
    [1, 2, 4].map(|bit| ours.client & bit != 0)
        == [theirs.client_ssl(), theirs.client_cert_conn(), theirs.client_cert_sess()]
        && ours.verify == theirs.verify()
        && same_text(ours.version.as_deref(), theirs.version())
        && same_text(ours.cn.as_deref(), theirs.cn())
        && same_text(ours.cipher.as_deref(), theirs.cipher())
        && same_text(ours.sig_alg.as_deref(), theirs.sig_alg())
        && same_text(ours.key_alg.as_deref(), theirs.key_alg())
}

/// It skips what is not UTF-8, and then tells the next of that type if there is one.
fn same_text(ours: Option<&[u8]>, theirs: Option<&str>) -> bool {
    match ours.map(str::from_utf8) {
        Some(Ok(ours)) => theirs == Some(ours),
        Some(Err(_)) => true,
        None => theirs.is_none(),
    }
}

#[test]
fn good_headers_are_read_alike() {
    for (name, header) in all() {
        let expected = match name {
            "v2 LOCAL with junk" => Difference::LocalFamily,
            "v1 TCP6 to IPv4" | "v1 TCP4 to IPv6" => Difference::Families,
            _ => Difference::None,
        };
        assert_eq!(compare(&header), expected, "{name}");
        for end in 0..header.len() {
            let found = compare(&header[..end]);
            // It may see that the families differ before the line has ended.
            let early = found == Difference::Families && expected == Difference::Families;
            assert!(found == Difference::None || early, "{name}, first {end} bytes: {found:?}");
        }
    }
}

/// Every difference has an example, so that none is agreed to for nothing.
#[test]
fn the_differences_are_real() {
    let examples: [(&[u8], Difference); 14] = [
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 +80 443\r\n", Difference::Fields),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 80 0443\r\n", Difference::Fields),
        (b"PROXY_TCP4 1.2.3.4 5.6.7.8 80 443\r\n", Difference::Fields),
        (b"PROXY UNKNOWNS\r\n", Difference::Fields),
        (b"PROXY UNKNOWN \n \r\n", Difference::Fields),
        (&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat(), Difference::LongLine),
        (&v2(0x21, 0x12, &[0; 12]), Difference::Datagram),
        (&v2(0x21, 0x00, &tlv(0xEE, &[0; 5000])), Difference::TooLong),
        (&v2(0x21, 0x00, &tlv(0x03, &[0; 4])), Difference::Tlvs),
        (&v2(0x20, 0x77, &[0; 12]), Difference::LocalFamily),
        (&v2(0x20, 0x11, &[]), Difference::LocalFamily),
        (b"PROXY TCP6 ::1 5.6.7.8 80 443\r\n", Difference::Families),
        (b"PROXY TCP4 1.2.3.4 ::1 80 443\r\n", Difference::Families),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 8x", Difference::Early),
    ];
    for (bytes, expected) in examples {
        assert_eq!(compare(bytes), expected, "{}", bytes.escape_ascii());
    }
}

fn mutations() -> impl Strategy<Value = Vec<u8>> {
    let headers: Vec<_> = all().into_iter().map(|(_, header)| header).collect();
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![any::<u8>(), Just(b' '), Just(b'0'), Just(0), Just(b'\r')],
    );
    (
        prop::sample::select(headers),
        prop::collection::vec(change, 0..4),
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut header, changes, cut, keep)| {
            for (at, byte) in changes {
                let at = at.index(header.len());
                header[at] = byte;
            }
            if !keep {
                header.truncate(cut.index(header.len()));
            }
            header
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn broken_headers_differ_only_as_agreed(bytes in mutations()) {
        prop_assert_ne!(compare(&bytes), Difference::Unexplained, "{}", bytes.escape_ascii());
    }

    /// What we write, it reads as we do.
    #[test]
    fn what_we_write_is_read_alike(source: std::net::SocketAddr, destination: std::net::SocketAddr, crc32c: bool) {
        let mut header = proxy_core::header::Outgoing::proxy(source, destination);
        header.crc32c = crc32c;
        let line = proxy_core::header::encode_v1(&header.endpoints);
        prop_assert_eq!(compare(&line), Difference::None);
        prop_assert_eq!(compare(&proxy_core::header::encode_v2(&header).unwrap()), Difference::None);
    }
}

#[test]
fn limits_are_ours_to_set() {
    let long = v2(0x21, 0x00, &tlv(0xEE, &[0; 5000]));
    assert!(proxy_core::header::decode(&long, &HeaderLimits::default().max_v2(65_551)).is_ok());
    assert!(oracle(&long).is_ok());
}
