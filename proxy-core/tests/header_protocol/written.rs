//! What we write, byte by byte, and what we refuse to write.

use proxy_core::header::{
    Command, EncodeError, Endpoints, Outgoing, Ssl, Tlvs, UnixPath, Version, encode_v1, encode_v2,
};

use super::samples::{LOCAL, PROXY, SIGNATURE, crc32c, inet, inet6, tlv, unix, v2, whole};

fn inet_of(source: &str, destination: &str) -> Endpoints {
    Endpoints::Inet { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn unix_endpoints() -> Endpoints {
    Endpoints::Unix { source: UnixPath::default(), destination: UnixPath::new(b"/run/app.sock").unwrap() }
}

fn proxy(endpoints: Endpoints) -> Outgoing {
    Outgoing { endpoints, ..Outgoing::proxy("1.1.1.1:1".parse().unwrap(), "2.2.2.2:2".parse().unwrap()) }
}

#[test]
fn lines() {
    let line = |endpoints| String::from_utf8(encode_v1(&endpoints)).unwrap();
    let v4 = "192.0.2.7:52953";
    let v6 = "[2001:db8::1]:443";
    let mapped = "[::ffff:198.51.100.1]:80";
    assert_eq!(line(inet_of(v4, "198.51.100.1:80")), "PROXY TCP4 192.0.2.7 198.51.100.1 52953 80\r\n");
    assert_eq!(line(inet_of(v4, mapped)), "PROXY TCP4 192.0.2.7 198.51.100.1 52953 80\r\n");
    assert_eq!(line(inet_of(v6, v6)), "PROXY TCP6 2001:db8::1 2001:db8::1 443 443\r\n");
    assert_eq!(line(inet_of(v4, v6)), "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 52953 443\r\n");
    assert_eq!(line(inet_of(v6, v4)), "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.7 443 52953\r\n");
    assert_eq!(line(inet_of("[fe80::1%3]:1", v6)), "PROXY TCP6 fe80::1 2001:db8::1 1 443\r\n");
    assert_eq!(line(Endpoints::Unknown), "PROXY UNKNOWN\r\n");
    assert_eq!(line(unix_endpoints()), "PROXY UNKNOWN\r\n");
}

#[test]
fn binary() {
    let v4 = inet_of("192.0.2.7:52953", "198.51.100.1:443");
    let v6 = inet_of("[2001:db8::7]:52953", "[2001:db8::1]:443");
    assert_eq!(encode_v2(&proxy(v4)).unwrap(), v2(PROXY, 0x11, &inet()));
    assert_eq!(encode_v2(&proxy(v6)).unwrap(), v2(PROXY, 0x21, &inet6()));
    assert_eq!(encode_v2(&proxy(unix_endpoints())).unwrap(), v2(PROXY, 0x31, &unix()));
    let mixed = encode_v2(&proxy(inet_of("192.0.2.7:52953", "[2001:db8::1]:443"))).unwrap();
    assert_eq!(&mixed[12..32], b"\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\x02\x07");
}

/// As HAProxy's health checks: nothing at all, or the checksum and nothing else.
#[test]
fn without_an_address_it_is_a_local_of_length_0_or_7_with_a_checksum() {
    let bare = v2(LOCAL, 0x00, &[]);
    let v4 = inet_of("192.0.2.7:52953", "198.51.100.1:443");
    for header in
        [Outgoing::local(), proxy(Endpoints::Unknown), Outgoing { command: Command::Local, ..proxy(v4) }]
    {
        assert_eq!(encode_v2(&header).unwrap(), bare);
        let checked = encode_v2(&Outgoing { crc32c: true, ..header }).unwrap();
        assert_eq!(checked[..19], v2(LOCAL, 0x00, &tlv(3, &[0; 4]))[..19]);
        assert!(whole(&checked).header.tlvs.crc32c.is_some(), "it is there, and right");
    }
    assert_eq!(whole(&bare).header.command, Command::Local);
}

/// For a receiver that is known to read them.
#[test]
fn a_local_has_the_fields_that_it_is_given() {
    let tlvs =
        Tlvs { unique_id: Some(b"5f3a9c1e-1a".to_vec()), other: vec![(0xE5, vec![1])], ..Tlvs::default() };
    for header in [Outgoing::local(), proxy(Endpoints::Unknown)] {
        let bytes = encode_v2(&Outgoing { tlvs: tlvs.clone(), ..header }).unwrap();
        assert_eq!(&bytes[12..14], [LOCAL, 0]);
        let header = whole(&bytes).header;
        let expected = (Command::Local, Endpoints::Unknown, tlvs.clone());
        assert_eq!((header.command, header.endpoints, header.tlvs), expected);
    }
}

#[test]
fn the_checksum_covers_everything() {
    let header = Outgoing {
        tlvs: Tlvs { authority: Some(b"a.example".to_vec()), ..Tlvs::default() },
        crc32c: true,
        ..proxy(inet_of("192.0.2.7:52953", "198.51.100.1:443"))
    };
    let bytes = encode_v2(&header).unwrap();
    let mut zeroed = v2(PROXY, 0x11, &[inet(), tlv(3, &[0; 4]), tlv(2, b"a.example")].concat());
    let sum = crc32c(&zeroed);
    zeroed[31..35].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(bytes, zeroed);
    assert_eq!(whole(&bytes).header.tlvs.crc32c, Some(sum));
}

#[test]
fn nothing_is_cut_to_fit() {
    let with = |tlvs| encode_v2(&Outgoing { tlvs, ..proxy(unix_endpoints()) });
    let id = |len| with(Tlvs { unique_id: Some(vec![1; len]), ..Tlvs::default() });
    assert!(id(128).is_ok());
    assert_eq!(id(129), Err(EncodeError::UniqueIdTooLong { len: 129, max: 128 }));

    let room = 65_535 - 216 - 3;
    let authority = |len| with(Tlvs { authority: Some(vec![b'a'; len]), ..Tlvs::default() });
    assert_eq!(authority(room).unwrap().len(), 16 + 65_535);
    assert_eq!(authority(room + 1), Err(EncodeError::TooLong { len: 65_536, max: 65_535 }));
    assert_eq!(authority(65_536), Err(EncodeError::TooLong { len: 65_536, max: 65_535 }));

    let cn = Ssl { cn: Some(vec![b'a'; 65_528]), ..Ssl::default() };
    let expected = Err(EncodeError::TooLong { len: 65_536, max: 65_535 });
    assert_eq!(with(Tlvs { ssl: Some(Box::new(cn)), ..Tlvs::default() }), expected);

    assert!(UnixPath::new(&[b'a'; 108]).is_ok());
    assert!(UnixPath::new(&[&[b'a'; 108], [0; 20].as_slice()].concat()).is_ok());
    assert_eq!(UnixPath::new(&[b'a'; 109]), Err(EncodeError::UnixPathTooLong { len: 109, max: 108 }));
}

#[test]
fn a_field_is_not_smuggled_in_as_another_type() {
    let with = |tlvs| encode_v2(&Outgoing { tlvs, ..proxy(unix_endpoints()) });
    for kind in 0..=u8::MAX {
        let own = [1, 2, 3, 4, 5, 0x20, 0x30].contains(&kind);
        let sub = (0x21..=0x25).contains(&kind);
        let other = vec![(kind, vec![0; 4])];
        let ssl = Some(Box::new(Ssl { other: other.clone(), ..Ssl::default() }));
        let misplaced = Err(EncodeError::Misplaced { kind });
        let outer = with(Tlvs { other, ..Tlvs::default() });
        assert_eq!(outer == misplaced, own, "{kind:#x}");
        assert_eq!(with(Tlvs { ssl, ..Tlvs::default() }) == misplaced, sub, "{kind:#x}");
    }
}

#[test]
fn versions_are_told_apart() {
    let v4 = inet_of("192.0.2.7:52953", "198.51.100.1:443");
    assert_eq!(whole(&encode_v1(&v4)).header.version, Version::V1);
    assert_eq!(whole(&encode_v2(&proxy(v4)).unwrap()).header.version, Version::V2);
    assert!(encode_v2(&Outgoing::local()).unwrap().starts_with(SIGNATURE));
}
