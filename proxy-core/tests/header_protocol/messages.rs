//! The words in which each error is told: what was wrong, where, and what to do if that is not plain.

use insta::assert_snapshot;
use proxy_core::header::{EncodeError, HeaderError, Outgoing, Tlvs, UnixPath, V1Error, V2Error, encode_v2};

use super::samples::{LOCAL, PROXY, decode, inet, tlv, v2};

/// The message, which must be fit for a log whatever the peer sent.
fn told(bytes: &[u8]) -> String {
    let message = decode(bytes).unwrap_err().to_string();
    assert!(message.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{message:?}");
    message
}

fn line(line: &str) -> String {
    told(line.as_bytes())
}

#[test]
fn no_header_at_all() {
    assert_snapshot!(line("GET / HTTP/1.1\r\nHost: www.example.com\r\n"), @r#"no PROXY header: the peer sent "GET / HTTP/1.1\r\nHost: ww..."; it may not be configured to send one (v1 or v2), or may not be the proxy it is taken for"#);
    assert_snapshot!(told(b"\x16\x03\x01\x1b[31m\xff"), @r#"no PROXY header: the peer sent "\x16\x03\x01\x1b[31m\xff"; it may not be configured to send one (v1 or v2), or may not be the proxy it is taken for"#);
}

#[test]
fn bad_lines() {
    assert_snapshot!(line(&format!("PROXY UNKNOWN {}", "x".repeat(100))), @"PROXY v1: the line cannot end in CR LF within 107 bytes, the most the protocol allows");
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.8 80 443\n"), @"PROXY v1: LF without CR at byte 33; the line ends in CR LF");
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.8 80 443\rG"), @"PROXY v1: CR without LF at byte 33; the line ends in CR LF");
    assert_snapshot!(line("PROXY UDP4 "), @r#"PROXY v1: bad transport "UDP4" at byte 6; expected TCP4, TCP6 or UNKNOWN"#);
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.\x1b[31m"), @r#"PROXY v1: bad destination address "5.6.7.\x1b[31m" at byte 19; expected an IPv4 or IPv6 address"#);
    assert_snapshot!(line("PROXY TCP4 ::1 5.6.7.8 "), @r#"PROXY v1: bad source address "::1" at byte 11; expected an IPv4 address"#);
    assert_snapshot!(line("PROXY TCP6 1.2.3.4 "), @r#"PROXY v1: bad source address "1.2.3.4" at byte 11; expected an IPv6 address"#);
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.8 +80 443\r\n"), @r#"PROXY v1: bad source port "+80" at byte 27; expected 0 to 65535, no sign, no leading zeros"#);
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.8 80 65536"), @r#"PROXY v1: bad destination port "65536" at byte 30; expected 0 to 65535, no sign, no leading zeros"#);
    assert_snapshot!(line("PROXY TCP4 1.2.3.4\r\n"), @"PROXY v1: the line ends at byte 18, before the destination address");
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.8 80\r\n"), @"PROXY v1: the line ends at byte 29, before the destination port");
    assert_snapshot!(line("PROXY TCP4 1.2.3.4 5.6.7.8 80 443 1\r\n"), @"PROXY v1: more follows the destination port at byte 34, where CR LF was expected");
}

#[test]
fn bad_fixed_parts() {
    assert_snapshot!(told(&v2(0x11, 0, &[])), @"PROXY v2: version 1 in the upper half of byte 12; expected 2");
    assert_snapshot!(told(&v2(0x2F, 0, &[])), @"PROXY v2: command 15 in the lower half of byte 12; expected 0 (LOCAL) or 1 (PROXY)");
    assert_snapshot!(told(&v2(PROXY, 0x10, &[])), @"PROXY v2: family and protocol 0x10 at byte 13; expected 0x00 (unspecified), 0x11 (TCP over IPv4), 0x21 (TCP over IPv6) or 0x31 (Unix stream)");
    assert_snapshot!(told(&v2(PROXY, 0x12, &[])), @"PROXY v2: family and protocol 0x12 at byte 13 say datagram, over a stream connection");
    assert_snapshot!(told(&v2(LOCAL, 0x00, &[0; 5000])), @"PROXY v2: the header is at least 5016 bytes long by its bytes 14 and 15; at most 4096 are accepted");
    assert_snapshot!(told(&v2(PROXY, 0x11, &[0; 10])), @"PROXY v2: 10 bytes follow by its bytes 14 and 15, too few for the 12 of IPv4 addresses");
    assert_snapshot!(told(&v2(PROXY, 0x21, &[0; 35])), @"PROXY v2: 35 bytes follow by its bytes 14 and 15, too few for the 36 of IPv6 addresses");
    assert_snapshot!(told(&v2(PROXY, 0x31, &[0; 215])), @"PROXY v2: 215 bytes follow by its bytes 14 and 15, too few for the 216 of Unix addresses");
}

#[test]
fn bad_tlvs() {
    assert_snapshot!(told(&v2(PROXY, 0x00, &[1, 0])), @"PROXY v2: bad TLV at byte 16: too little is left for a TLV, which has at least 3 bytes: 2");
    assert_snapshot!(told(&v2(PROXY, 0x00, &[2, 0, 5, b'a', b'b'])), @"PROXY v2: bad TLV at byte 16: type 0x02 has the length 5, and less is left: 2");
    assert_snapshot!(told(&v2(PROXY, 0x11, &[inet(), tlv(0x05, &[0; 129])].concat())), @"PROXY v2: bad TLV at byte 28: type 0x05 has the length 129, expected at most 128");
    assert_snapshot!(told(&v2(PROXY, 0x00, &tlv(0x03, &[0; 3]))), @"PROXY v2: bad TLV at byte 16: type 0x03 has the length 3, expected 4");
    assert_snapshot!(told(&v2(PROXY, 0x00, &tlv(0x20, &[0; 3]))), @"PROXY v2: bad TLV at byte 16: type 0x20 has the length 3, expected at least 5");
    assert_snapshot!(told(&v2(PROXY, 0x00, &tlv(0x20, &[0; 7]))), @"PROXY v2: bad TLV at byte 24: too little is left for a TLV, which has at least 3 bytes: 2");
    assert_snapshot!(told(&v2(PROXY, 0x00, &tlv(0x03, &[0; 4]))), @"PROXY v2: the checksum at byte 19 is 0x00000000, but the header's own is 0x3ec9894e");
}

/// Our checks leave nothing for `ppp` to find, so that these are made by hand.
#[test]
fn refused_by_the_parser() {
    let reason = || String::from("Header must start with 'PROXY'.");
    assert_snapshot!(HeaderError::from(V1Error::Rejected { reason: reason() }), @"PROXY v1: Header must start with 'PROXY'.");
    assert_snapshot!(HeaderError::from(V2Error::Rejected { reason: reason() }), @"PROXY v2: Header must start with 'PROXY'.");
}

#[test]
fn not_writable() {
    let told = |tlvs: Tlvs| {
        let header = Outgoing::proxy("192.0.2.7:1".parse().unwrap(), "192.0.2.8:2".parse().unwrap());
        encode_v2(&Outgoing { tlvs, ..header }).unwrap_err()
    };
    let long = |len| Some(vec![0; len]);
    assert_snapshot!(told(Tlvs { unique_id: long(129), ..Tlvs::default() }), @"the unique id is 129 bytes long; a PROXY v2 header takes 128");
    assert_snapshot!(told(Tlvs { alpn: long(65_530), ..Tlvs::default() }), @"addresses and TLVs are 65545 bytes long; a PROXY v2 header takes 65535");
    assert_snapshot!(told(Tlvs { other: vec![(0x02, vec![])], ..Tlvs::default() }), @"TLV type 0x02 is among `other`, but has a field of its own: set that");
    let path: Result<UnixPath, EncodeError> = UnixPath::new(&[b'a'; 109]);
    assert_snapshot!(path.unwrap_err(), @"the Unix socket's path is 109 bytes long; a PROXY v2 header takes 108");
}
