//! What is refused, at which byte, and what is said about it.

use proxy_core::hello::{HelloError, HelloReader, MAX_HELLO, MAX_RECORD, Progress};

use crate::builder::*;

/// The refusal of a stream that comes byte by byte, and the byte that brought it; what begins as TLS does is marked.
#[track_caller]
fn earliest(stream: &[u8]) -> String {
    let (progress, pushed) = read_in_chunks(&mut HelloReader::default(), stream.chunks(1));
    assert_eq!(progress, read(stream), "byte by byte and in one piece");
    match progress {
        Progress::NotTls(why) => format!("byte {pushed} of {}: {why}", stream.len()),
        Progress::Unreadable(why) => format!("TLS, byte {pushed} of {}: {why}", stream.len()),
        other @ (Progress::More | Progress::Hello(_)) => panic!("not refused: {other:?}"),
    }
}

/// The refusal of a hello with one malformed extension.
#[track_caller]
fn malformed(number: u16, data: &[u8]) -> String {
    refusal(&Hello { extensions: Some(vec![(number, data.to_vec())]), ..Hello::bare() }.whole()).to_string()
}

#[test]
fn other_protocols_are_known_by_their_first_byte() {
    insta::assert_snapshot!(earliest(b"GET / HTTP/1.1\r\n"), @"byte 1 of 16: the first byte is 0x47, a TLS handshake begins with 0x16");
    insta::assert_snapshot!(earliest(b"SSH-2.0-OpenSSH_9.2\r\n"), @"byte 1 of 21: the first byte is 0x53, a TLS handshake begins with 0x16");
    insta::assert_snapshot!(earliest(&[0x80, 0x2e, 0x01, 0x03, 0x01]), @"byte 1 of 5: the first byte is 0x80, a TLS handshake begins with 0x16");
    insta::assert_snapshot!(earliest(&record(21, &[2, 40])), @"TLS, byte 2 of 7: a record of type 21 where one of the ClientHello is due, which has type 22");
}

#[test]
fn what_only_begins_like_tls_is_known_soon() {
    insta::assert_snapshot!(earliest(&[22, 16, 1, 0, 1, 1]), @"byte 2 of 6: the major version of a record is 16, all of TLS has 3");
    insta::assert_snapshot!(earliest(&records(&handshake(2, &[0; 70]), 512)), @"TLS, byte 6 of 79: the first handshake message has type 2, a ClientHello has 1");
    insta::assert_snapshot!(earliest(&records(&handshake(1, &[0; 40]), 512)), @"TLS, byte 9 of 49: malformed ClientHello: message length at byte 1");
}

/// Servers differ: `GnuTLS` takes a `change_cipher_spec` ahead of a hello, OpenSSL an empty record. What such a one would read
/// must not pass for another protocol.
#[test]
fn what_another_reader_may_take_for_a_hello_is_unreadable() {
    let stream = Hello::plain().with(server_name(b"a.example")).whole();
    let ahead = [record(22, &[]), stream.clone()].concat();
    assert_eq!(read(&ahead), Progress::Unreadable(HelloError::EmptyRecord));
    for kind in [20, 21, 23, 24] {
        let ahead = [record(kind, &[1, 90]), stream.clone()].concat();
        assert_eq!(read(&ahead), Progress::Unreadable(HelloError::Interrupted { found: kind }));
        // A protocol whose messages begin with their length.
        assert_eq!(read(&[kind, 0, 7, 0, 9]), Progress::NotTls(HelloError::FirstByte { found: kind }));
    }
}

/// Go's `crypto/tls` takes any version below 0x1000 of the first records, and drops warnings ahead of the hello.
#[test]
fn a_version_that_some_server_takes_is_no_way_around_the_name() {
    let hello = Hello::plain().with(server_name(b"a.example"));
    let with_version = |first: [u8; 2]| {
        let mut stream = hello.stream(60);
        stream[1..3].copy_from_slice(&first);
        stream
    };
    for version in [[2, 1], [5, 1], [0, 0], [15, 255]] {
        let Progress::Hello(read) = read(&with_version(version)) else { panic!("{version:?} is read") };
        assert_eq!(read.server_name.as_ref().map(ToString::to_string).as_deref(), Some("a.example"));
        let [major, minor] = version;
        let warning = [&[21, major, minor, 0, 2, 1, 90][..], &hello.whole()].concat();
        assert_eq!(self::read(&warning), Progress::Unreadable(HelloError::Interrupted { found: 21 }));
        let empty = [&[22, major, minor, 0, 0][..], &hello.whole()].concat();
        assert_eq!(self::read(&empty), Progress::Unreadable(HelloError::EmptyRecord));
        assert_eq!(
            self::read(&with_version([16, 0])),
            Progress::NotTls(HelloError::RecordVersion { found: 16 })
        );
    }
    // Broken behind its first byte it is TLS nevertheless.
    let mut broken = with_version([2, 1]);
    broken[43] = 255;
    assert!(matches!(read(&broken), Progress::Unreadable(_)));
}

/// A protocol whose messages begin with their length and a kind, here of 22 and of 21 bytes.
#[test]
fn a_message_that_begins_like_an_odd_record_is_none() {
    let message = b"\x16\0\x2f\x09localhost";
    assert_eq!(read(message), Progress::NotTls(HelloError::HandshakeType { found: b'o' }));
    assert_eq!(read(b"\x15\0\x2f\x08a.example"), Progress::NotTls(HelloError::FirstByte { found: 21 }));
    assert_eq!(
        read(b"\x16\0\x2f\xff\xffocalhost"),
        Progress::NotTls(HelloError::RecordLength { len: 0xffff })
    );
}

#[test]
fn records_must_be_of_handshake_and_hold_some() {
    let hello = Hello::ordinary().message();
    insta::assert_snapshot!(earliest(&record(22, &[])), @"TLS, byte 5 of 5: a handshake record is empty");
    insta::assert_snapshot!(earliest(&[record(22, &hello[..60]), record(22, &[]), record(22, &hello[60..])].concat()), @"TLS, byte 70 of 150: a handshake record is empty");
    insta::assert_snapshot!(earliest(&[record(22, &hello[..2]), record(21, &[1, 0])].concat()), @"TLS, byte 8 of 14: a record of type 21 where one of the ClientHello is due, which has type 22");
    insta::assert_snapshot!(earliest(&[record(22, &hello[..2]), record(23, &[1])].concat()), @"TLS, byte 8 of 13: a record of type 23 where one of the ClientHello is due, which has type 22");
    insta::assert_snapshot!(earliest(&[record(22, &hello[..60]), vec![22, 16]].concat()), @"TLS, byte 67 of 67: the major version of a record is 16, all of TLS has 3");
}

#[test]
fn records_are_as_long_as_they_may_be_and_no_longer() {
    let hello = Hello::ordinary().message();
    let stream = |len: u16| [&[22, 3, 1], &len.to_be_bytes()[..], &hello].concat();
    assert!(matches!(read(&stream(MAX_RECORD)), Progress::Hello(_)));
    insta::assert_snapshot!(earliest(&stream(MAX_RECORD + 1)), @"TLS, byte 5 of 140: a record claims 18433 bytes, the most is 18432");
}

#[test]
fn parts_of_the_body_must_add_up() {
    let refused = |hello: Hello| refusal(&hello.whole()).to_string();
    insta::assert_snapshot!(refused(Hello { session_id: vec![0; 33], ..Hello::bare() }), @"malformed ClientHello: session id at byte 39");
    insta::assert_snapshot!(refused(Hello { ciphers: vec![], ..Hello::ordinary() }), @"malformed ClientHello: cipher suites at byte 73");
    insta::assert_snapshot!(refused(Hello { compression: vec![], ..Hello::ordinary() }), @"malformed ClientHello: compression methods at byte 78");
    let odd_ciphers = [&[3, 3][..], &[0; 32], &[0], &[0, 3, 0, 47, 0], &[1, 0], &[0, 0]].concat();
    insta::assert_snapshot!(refusal(&records(&handshake(1, &odd_ciphers), 512)), @"malformed ClientHello: cipher suites at byte 41");
}

#[test]
fn a_message_must_end_where_its_parts_end() {
    let body = |hello: Hello| hello.message()[4..].to_vec();
    let trailing = |mut body: Vec<u8>, more: &[u8]| {
        body.extend(more);
        refusal(&records(&handshake(1, &body), 512)).to_string()
    };
    insta::assert_snapshot!(trailing(body(Hello::bare()), &[0]), @"malformed ClientHello: extensions at byte 47");
    insta::assert_snapshot!(trailing(body(Hello::bare()), &[0, 1]), @"malformed ClientHello: extensions at byte 49");
    insta::assert_snapshot!(trailing(body(Hello::bare()), &[0, 0, 0]), @"malformed ClientHello: extensions at byte 49");
    insta::assert_snapshot!(trailing(body(Hello::bare()), &[0, 3, 0, 99, 0]), @"malformed ClientHello: extensions at byte 51");
    insta::assert_snapshot!(trailing(body(Hello::bare()), &[0, 4, 0, 99, 0, 1]), @"malformed ClientHello: extensions at byte 53");
    insta::assert_snapshot!(trailing(body(Hello::ordinary()), &[0]), @"malformed ClientHello: extensions at byte 135");
}

#[test]
fn names_must_be_one_and_add_up() {
    insta::assert_snapshot!(malformed(0, &[]), @"malformed ClientHello: server_name at byte 53");
    insta::assert_snapshot!(malformed(0, &[0, 0]), @"malformed ClientHello: server_name at byte 55");
    insta::assert_snapshot!(malformed(0, &server_name(b"").1), @"malformed ClientHello: server_name at byte 55");
    insta::assert_snapshot!(malformed(0, &server_names(&[(0, b"a.example"), (0, b"b.example")]).1), @"malformed ClientHello: server_name at byte 67");
    insta::assert_snapshot!(malformed(0, &server_names(&[(0, b"192.0.2.1"), (0, b"b.example")]).1), @"malformed ClientHello: server_name at byte 67");
    insta::assert_snapshot!(malformed(0, &[0, 4, 0, 0, 2, b'a']), @"malformed ClientHello: server_name at byte 58");
    insta::assert_snapshot!(malformed(0, &[0, 4, 0, 0, 1, b'a', 0]), @"malformed ClientHello: server_name at byte 59");
    insta::assert_snapshot!(malformed(0, &[0, 5, 0, 0, 1, b'a']), @"malformed ClientHello: server_name at byte 55");
}

#[test]
fn protocols_must_not_be_empty_and_add_up() {
    insta::assert_snapshot!(malformed(16, &[]), @"malformed ClientHello: ALPN at byte 53");
    insta::assert_snapshot!(malformed(16, &alpn(&[]).1), @"malformed ClientHello: ALPN at byte 55");
    insta::assert_snapshot!(malformed(16, &alpn(&[b"h2", b""]).1), @"malformed ClientHello: ALPN at byte 59");
    insta::assert_snapshot!(malformed(16, &[0, 2, 2, b'h']), @"malformed ClientHello: ALPN at byte 56");
    insta::assert_snapshot!(malformed(16, &[0, 2, 1, b'h', 0]), @"malformed ClientHello: ALPN at byte 57");
}

#[test]
fn versions_must_come_in_pairs_of_bytes() {
    insta::assert_snapshot!(malformed(43, &[]), @"malformed ClientHello: supported_versions at byte 53");
    insta::assert_snapshot!(malformed(43, &[0]), @"malformed ClientHello: supported_versions at byte 54");
    insta::assert_snapshot!(malformed(43, &[3, 3, 4, 3]), @"malformed ClientHello: supported_versions at byte 56");
    insta::assert_snapshot!(malformed(43, &[2, 3, 4, 3]), @"malformed ClientHello: supported_versions at byte 56");
}

#[test]
fn an_extension_comes_once() {
    let twice = |number: u16, data: &[u8]| {
        let hello =
            Hello::ordinary().with((number, data.to_vec())).with((99, vec![])).with((number, data.to_vec()));
        refusal(&hello.whole()).to_string()
    };
    insta::assert_snapshot!(twice(21, &[0; 9]), @"malformed ClientHello: extension 21 comes twice");
    insta::assert_snapshot!(twice(0x0a0a, &[]), @"malformed ClientHello: extension 2570 comes twice");
    insta::assert_snapshot!(twice(0, &server_name(b"other.example").1), @"malformed ClientHello: extension 0 comes twice");
}

#[test]
fn a_hello_that_cannot_fit_is_refused_when_its_length_is_known() {
    insta::assert_snapshot!(earliest(&records(&handshake(1, &[0; MAX_HELLO]), 2048)), @"TLS, byte 9 of 16433: no whole ClientHello fits in 16384 bytes");
    insta::assert_snapshot!(earliest(&records(&handshake(1, &[0; MAX_HELLO]), 2)), @"TLS, byte 14 of 57358: no whole ClientHello fits in 16384 bytes");
}

#[test]
fn the_cap_is_the_last_byte_that_counts() {
    for size in [1, 2, 100, 1000] {
        let stream = Hello::ordinary().stream(size);
        let ask = |cap: usize, chunk: usize| read_in_chunks(&mut HelloReader::new(cap), stream.chunks(chunk));
        for chunk in [1, 7, stream.len()] {
            assert_eq!(
                ask(stream.len(), chunk).0,
                read(&stream),
                "a hello of just the cap, records of {size}"
            );
            for cap in 0..stream.len() {
                let (progress, pushed) = ask(cap, chunk);
                let why = HelloError::TooLarge { cap };
                // Below two bytes it may be anything.
                let expected = if cap < 2 { Progress::NotTls(why) } else { Progress::Unreadable(why) };
                assert_eq!(progress, expected, "records of {size}");
                assert!(pushed <= cap.max(1) + chunk, "said {pushed} bytes in, cap {cap}, chunks of {chunk}");
            }
        }
    }
}
