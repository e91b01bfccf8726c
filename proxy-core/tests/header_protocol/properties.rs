//! Arbitrary bytes and arbitrary headers.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proxy_core::header::{
    Command, Endpoints, Header, HeaderLimits, Outgoing, Ssl, Tlvs, UnixPath, Version, encode_v1, encode_v2,
};

use super::samples::{SIGNATURE, all, decode, whole};

/// Bytes that get past the first check, in various ways.
fn near_headers() -> impl Strategy<Value = Vec<u8>> {
    let behind = |start: &'static [u8], rest: BoxedStrategy<Vec<u8>>| {
        rest.prop_map(move |rest| [start, &rest].concat()).boxed()
    };
    let bytes = || vec(any::<u8>(), 0..300).boxed();
    let body = (prop_oneof![Just(0x20_u8), Just(0x21)], any::<u8>(), 0..320_u16, vec(0..8_u8, 0..400))
        .prop_map(|(command, family, len, body)| {
            let family = [0x00, 0x11, 0x21, 0x31, family].get(usize::from(family % 5)).copied().unwrap_or(0);
            [&[command, family], len.to_be_bytes().as_slice(), &body].concat()
        });
    prop_oneof![
        bytes(),
        behind(b"PROXY ", bytes()),
        behind(b"PROXY TCP4 ", "[0-9. \r\n]{0,60}".prop_map(String::into_bytes).boxed()),
        behind(b"PROXY TCP6 ", "[0-9a-f:. \r\n]{0,110}".prop_map(String::into_bytes).boxed()),
        behind(SIGNATURE, bytes()),
        behind(SIGNATURE, body.boxed()),
        mutated(),
    ]
}

/// A good header with some bytes replaced.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let headers: Vec<_> = all().into_iter().map(|(_, header)| header).collect();
    (prop::sample::select(headers), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
        |(mut header, changes)| {
            for (at, byte) in changes {
                let at = at.index(header.len());
                header[at] = byte;
            }
            header
        },
    )
}

fn socket_addr() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<[u8; 4]>().prop_map(IpAddr::from);
    let v6 = any::<[u8; 16]>().prop_map(IpAddr::from);
    let mapped = any::<std::net::Ipv4Addr>().prop_map(|ip| IpAddr::from(ip.to_ipv6_mapped()));
    (prop_oneof![v4, v6, mapped], any::<u16>()).prop_map(SocketAddr::from)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    let path = || vec(any::<u8>(), 0..=108).prop_map(|path| UnixPath::new(&path).unwrap());
    prop_oneof![
        1 => Just(Endpoints::Unknown),
        4 => (socket_addr(), socket_addr())
            .prop_map(|(source, destination)| Endpoints::Inet { source, destination }),
        2 => (path(), path()).prop_map(|(source, destination)| Endpoints::Unix { source, destination }),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn others(taken: &'static [u8]) -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    vec((any::<u8>().prop_filter("has a field", |kind| !taken.contains(kind)), value()), 0..4)
}

fn tlvs() -> impl Strategy<Value = Tlvs> {
    let some = || option::of(value());
    let ssl = (
        any::<(u8, u32)>(),
        (some(), some(), some(), some(), some()),
        others(&[0x21, 0x22, 0x23, 0x24, 0x25]),
    )
        .prop_map(|((client, verify), (version, cn, cipher, sig_alg, key_alg), other)| {
            Box::new(Ssl { client, verify, version, cn, cipher, sig_alg, key_alg, other })
        });
    let unique_id = option::of(vec(any::<u8>(), 0..=128));
    (some(), some(), unique_id, option::of(ssl), some(), others(&[1, 2, 3, 4, 5, 0x20, 0x30])).prop_map(
        |(alpn, authority, unique_id, ssl, netns, other)| Tlvs {
            alpn,
            authority,
            unique_id,
            ssl,
            netns,
            crc32c: None,
            other,
        },
    )
}

/// What a receiver is told by a header with these endpoints.
fn as_received(endpoints: &Endpoints) -> Endpoints {
    match endpoints {
        Endpoints::Inet { source, destination } => {
            Endpoints::Inet { source: canonical(*source), destination: canonical(*destination) }
        }
        Endpoints::Unknown | Endpoints::Unix { .. } => endpoints.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_panics_and_nothing_is_read_behind_the_end(bytes in near_headers(), max_v2 in 0..600_usize) {
        let limits = HeaderLimits::default().max_v2(max_v2);
        if let Ok(Some(decoded)) = proxy_core::header::decode(&bytes, &limits) {
            prop_assert!(decoded.len <= bytes.len());
            prop_assert!(decoded.len <= limits.buffer_len());
        }
    }

    /// A verdict is final: more bytes do not change it, fewer only make it "more bytes are needed".
    #[test]
    fn more_bytes_do_not_change_a_verdict(bytes in near_headers(), behind in vec(any::<u8>(), 0..20)) {
        let bytes = [bytes, behind].concat();
        let mut verdict = Ok(None);
        for end in 0..=bytes.len() {
            let next = decode(&bytes[..end]);
            match (&verdict, &next) {
                (Ok(None), _) | (Err(_), Err(_)) => {}
                (Ok(Some(before)), Ok(Some(after))) => prop_assert_eq!(before, after),
                (before, after) => prop_assert!(false, "{before:?} became {after:?} at byte {end}"),
            }
            verdict = next;
        }
    }

    #[test]
    fn a_line_says_what_was_meant(endpoints in endpoints(), payload in value()) {
        let line = encode_v1(&endpoints);
        let decoded = whole(&[line.as_slice(), &payload].concat());
        let endpoints = match as_received(&endpoints) {
            inet @ Endpoints::Inet { .. } => inet,
            Endpoints::Unknown | Endpoints::Unix { .. } => Endpoints::Unknown,
        };
        let header = Header { version: Version::V1, command: Command::Proxy, endpoints, tlvs: Tlvs::default() };
        prop_assert_eq!((decoded.header, decoded.len), (header, line.len()));
    }

    #[test]
    fn a_binary_header_says_what_was_meant(
        endpoints in endpoints(), tlvs in tlvs(), crc32c: bool, proxy: bool, payload in value(),
    ) {
        let command = if proxy { Command::Proxy } else { Command::Local };
        let header = Outgoing { command, endpoints: endpoints.clone(), tlvs: tlvs.clone(), crc32c };
        let bytes = encode_v2(&header).unwrap();
        prop_assert_eq!(bytes.len(), header.encoded_len());
        let decoded = whole(&[bytes.as_slice(), &payload].concat());
        prop_assert_eq!(decoded.len, bytes.len());

        let mut expected = Header { version: Version::V2, command, endpoints: as_received(&endpoints), tlvs };
        if !proxy || endpoints == Endpoints::Unknown {
            expected.command = Command::Local;
            expected.endpoints = Endpoints::Unknown;
        }
        if crc32c {
            prop_assert!(decoded.header.tlvs.crc32c.is_some());
            expected.tlvs.crc32c = decoded.header.tlvs.crc32c;
        }
        prop_assert_eq!(decoded.header, expected);
    }
}
