//! TLVs that are odd, cut short, given twice, or where none should be.

use proxy_core::header::{Command, Endpoints, Ssl, TlvFault, Tlvs, UnixPath, V2Error, Version};

use super::samples::{LOCAL, PROXY, decode, inet, sealed, tlv, unix, v2, whole, with_every_tlv};

fn header_with(tlvs: &[Vec<u8>]) -> Vec<u8> {
    v2(PROXY, 0x11, &[inet(), tlvs.concat()].concat())
}

fn fault_of(bytes: &[u8]) -> (usize, TlvFault) {
    match decode(bytes) {
        Err(proxy_core::header::HeaderError::V2(V2Error::BadTlv { offset, fault })) => (offset, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_read() {
    for (family, addresses) in [(0x00, vec![]), (0x11, inet())] {
        let bytes = with_every_tlv(family, &addresses);
        let header = whole(&bytes).header;
        assert_eq!((header.version, header.command), (Version::V2, Command::Proxy));
        assert_eq!(header.tlvs.authority_str(), Some("www.example.com"));
        let ssl = Ssl {
            client: 7,
            verify: 1,
            version: Some(b"TLSv1.3".to_vec()),
            cn: Some(b"client.example".to_vec()),
            cipher: Some(b"TLS_AES_128_GCM_SHA256".to_vec()),
            sig_alg: Some(b"SHA256".to_vec()),
            key_alg: Some(b"RSA2048".to_vec()),
            other: vec![(0x26, b"X25519".to_vec())],
        };
        let expected = Tlvs {
            alpn: Some(b"h2".to_vec()),
            authority: Some(b"www.example.com".to_vec()),
            unique_id: Some(b"unique".to_vec()),
            ssl: Some(Box::new(ssl)),
            netns: Some(b"blue".to_vec()),
            crc32c: header.tlvs.crc32c,
            other: vec![(0xEA, b"\x01vpce-08d2bf15fac5001c9".to_vec())],
        };
        assert_eq!(header.tlvs, expected);
        assert!(header.tlvs.crc32c.is_some());
    }
}

#[test]
fn the_first_of_two_counts() {
    let twice = |kind, a: &[u8], b: &[u8]| {
        header_with(&[tlv(kind, a), tlv(0xE0, b"1"), tlv(kind, b), tlv(0xE0, b"2")])
    };
    let tlvs = |bytes: &[u8]| whole(bytes).header.tlvs;
    assert_eq!(tlvs(&twice(0x01, b"h2", b"h3")).alpn.unwrap(), b"h2");
    assert_eq!(tlvs(&twice(0x02, b"a", b"b")).authority_str(), Some("a"));
    assert_eq!(tlvs(&twice(0x05, b"a", b"b")).unique_id.unwrap(), b"a");
    assert_eq!(tlvs(&twice(0x30, b"", b"b")).netns.unwrap(), b"");
    assert_eq!(tlvs(&twice(0x20, &[1; 5], &[2; 5])).ssl.unwrap().client, 1);
    assert_eq!(tlvs(&twice(0x20, &[1; 5], &[2; 5])).other, [(0xE0, b"1".to_vec()), (0xE0, b"2".to_vec())]);
    let sums = sealed(header_with(&[tlv(0x03, &[0; 4]), tlv(0x03, &[1, 2, 3, 4])]), 28);
    assert_eq!(tlvs(&sums).crc32c.unwrap().to_be_bytes(), sums[31..35]);
    // The second is dropped, but not before it was checked.
    assert!(decode(&twice(0x05, b"a", &[0; 129])).is_err());
    assert!(decode(&twice(0x20, &[1; 5], &[2; 6])).is_err());
}

#[test]
fn lengths_that_a_type_does_not_allow() {
    for (kind, len, good) in [
        (0x05, 0, true),
        (0x05, 128, true),
        (0x05, 129, false),
        (0x03, 3, false),
        (0x03, 5, false),
        (0x20, 4, false),
        (0x20, 5, true),
        (0x02, 2000, true),
    ] {
        let bytes = header_with(&[tlv(kind, &vec![0; len])]);
        assert_eq!(decode(&bytes).is_ok(), good, "{kind:#x} of {len}");
        // Said as soon as the head of the TLV is there.
        assert_eq!(decode(&bytes[..28 + 3]).is_ok(), good, "{kind:#x} of {len}");
    }
}

#[test]
fn cut_short() {
    assert_eq!(fault_of(&header_with(&[vec![0x02]])), (28, TlvFault::Truncated { left: 1 }));
    let overrun = header_with(&[tlv(0x01, b"h2"), vec![0x02, 0, 5, b'a', b'b']]);
    let expected = (33, TlvFault::Overrun { kind: 2, len: 5, left: 2 });
    assert_eq!(fault_of(&overrun), expected);
    assert_eq!(fault_of(&overrun[..36]), expected, "known before the value comes");
}

#[test]
fn cut_short_inside_tls() {
    let bytes = header_with(&[tlv(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9, b'T']), tlv(0x02, b"a")]);
    let expected = (36, TlvFault::Overrun { kind: 0x21, len: 9, left: 1 });
    assert_eq!(fault_of(&bytes), expected);
    assert_eq!(fault_of(&bytes[..40]), expected, "known once the outer value is whole");
    // The rules for lengths are those of the outer types.
    assert!(decode(&header_with(&[tlv(0x20, &[vec![0; 5], tlv(0x03, b"x")].concat())])).is_ok());
}

#[test]
fn text_need_not_be_text() {
    let tlvs = whole(&header_with(&[tlv(0x02, b"\xFF\xFE")])).header.tlvs;
    assert_eq!(tlvs.authority.as_deref(), Some(b"\xFF\xFE".as_slice()));
    assert_eq!(tlvs.authority_str(), None);
}

#[test]
fn local_keeps_what_parses_and_drops_the_rest() {
    let local = |family, body: &[u8]| whole(&v2(LOCAL, family, body)).header;
    let authority = tlv(0x02, b"a.example");
    for header in [local(0x00, &authority), local(0x11, &[inet(), authority.clone()].concat())] {
        assert_eq!(header.tlvs.authority_str(), Some("a.example"));
        assert_eq!(header.endpoints, Endpoints::Unknown);
    }
    for body in [authority[..5].to_vec(), tlv(0x03, &[0; 4]), tlv(0x05, &[0; 200])] {
        assert_eq!(local(0x00, &body).tlvs, Tlvs::default());
    }
    assert_eq!(local(0x99, &authority).tlvs, Tlvs::default(), "where the TLVs start is not known");
}

#[test]
fn mapped_addresses_become_plain() {
    let mut mapped = vec![0; 36];
    mapped[10..16].copy_from_slice(&[0xFF, 0xFF, 192, 0, 2, 7]);
    mapped[31] = 1;
    for bytes in [v2(PROXY, 0x21, &mapped), b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 0\r\n".to_vec()] {
        let endpoints = whole(&bytes).header.endpoints;
        assert_eq!(endpoints.source(), Some("192.0.2.7:0".parse().unwrap()));
        assert_eq!(endpoints.destination(), Some("[::1]:0".parse().unwrap()));
    }
}

#[test]
fn unix_paths() {
    let mut addresses = unix();
    addresses[..5].copy_from_slice(b"\0abs\n");
    addresses[130] = b'!';
    let Endpoints::Unix { source, destination } = whole(&v2(PROXY, 0x31, &addresses)).header.endpoints else {
        panic!("not a Unix header");
    };
    assert_eq!((source.as_bytes(), source.as_path()), (b"\0abs\n".as_slice(), None));
    assert_eq!(format!("{source} {source:?}"), r#"\x00abs\n "\x00abs\n""#);
    assert_eq!(destination.as_path().unwrap().to_str(), Some("/run/app.sock"));
    assert_eq!(destination.as_bytes(), b"/run/app.sock\0\0\0\0\0\0\0\0\0!");
    assert_eq!(UnixPath::default().as_path(), None);
}
