//! What is read out of well-formed hellos.

use proxy_core::hello::TlsVersion;

use crate::builder::*;

fn name_of(extension: Extension) -> Option<Box<str>> {
    hello(&Hello::plain().with(extension).whole()).server_name
}

#[test]
fn a_client_without_extensions_asks_for_nothing() {
    let hello = hello(&Hello { version: 0x0300, ..Hello::bare() }.whole());
    assert_eq!((hello.server_name, hello.alpn.is_empty(), hello.ech), (None, true, false));
    assert_eq!(hello.version, TlsVersion::SSL_3_0);
}

#[test]
fn an_empty_list_of_extensions_is_as_good_as_none() {
    let hello = hello(&Hello { extensions: Some(Vec::new()), ..Hello::bare() }.whole());
    assert_eq!((hello.server_name, hello.version), (None, TlsVersion::TLS_1_0));
}

#[test]
fn a_name_comes_in_its_one_form() {
    assert_eq!(name_of(server_name(b"Shop.EXAMPLE.com.")).as_deref(), Some("shop.example.com"));
}

/// Wrong by RFC 6066, but sent. It is no name, and it is not nothing: some servers go by a part of it.
#[test]
fn what_is_no_host_name_is_told_from_none() {
    for (name, shown, is_address) in [
        (&b"192.0.2.1"[..], "192.0.2.1", true),
        (b"2001:db8::1", "2001:db8::1", true),
        (b"[::1]", "[::1]", true),
        (b"a b", "a b", false),
        (b"host.example:443", "host.example:443", false),
        (b"192.0.2.1:443", "192.0.2.1:443", false),
        (b"192.0.2.1.", "192.0.2.1.", false),
        (b"\xff\xfe", "\\xff\\xfe", false),
        (b".", ".", false),
        (b"-x.example", "-x.example", false),
        (b"a\0\nb", "a\\x00\\nb", false),
        (&[b'a'; 300], &("a".repeat(253) + "…"), false),
    ] {
        let hello = hello(&Hello::plain().with(server_name(name)).whole());
        let unusable = hello.unusable_name.expect("it was sent");
        assert_eq!((hello.server_name, unusable.to_string().as_str()), (None, shown));
        assert_eq!(unusable.is_address(), is_address, "{unusable}");
    }
    assert_eq!(hello(&Hello::plain().with(server_name(b"a.example")).whole()).unusable_name, None);
    assert_eq!(hello(&Hello::plain().whole()).unusable_name, None);
}

#[test]
fn names_of_unknown_types_are_stepped_over() {
    assert_eq!(name_of(server_names(&[(9, b"?")])), None);
    assert_eq!(
        name_of(server_names(&[(9, b"?"), (0, b"a.example"), (9, b"")])).as_deref(),
        Some("a.example")
    );
}

#[test]
fn protocols_keep_the_order_of_the_client() {
    let hello = hello(&Hello::plain().with(alpn(&[b"\x0a\x0a", b"h3", b"http/1.1", b"\xff\x00"])).whole());
    assert_eq!(protocols(&hello), [&b"\x0a\x0a"[..], b"h3", b"http/1.1", b"\xff\x00"]);
}

/// A bound on their number would be a way around a route by name: one more, and the name is not read.
#[test]
fn there_may_be_as_many_protocols_as_fit() {
    for count in [64, 65, 5_000] {
        let many = [vec![&b"h2"[..]; count - 1], vec![b"last"]].concat();
        let hello = hello(&Hello::plain().with(server_name(b"a.example")).with(alpn(&many)).whole());
        assert_eq!(hello.server_name.as_deref(), Some("a.example"));
        assert_eq!(protocols(&hello), many);
    }
}

#[test]
fn of_the_protocols_one_may_be_kept() {
    let sent = Hello::plain().with(alpn(&[b"\x0a\x0a", b"h3", b"http/1.1"])).whole();
    let kept = |wanted: fn(&[u8]) -> bool| {
        let mut hello = hello(&sent);
        hello.alpn.keep_first(wanted);
        format!("{:?}", hello.alpn)
    };
    assert_eq!(kept(|protocol| protocol != b"\x0a\x0a"), "[\"h3\"]");
    assert_eq!(kept(|_| false), "[]");
}

#[test]
fn the_newest_version_offered_counts() {
    let version = |offered: &[u16]| hello(&Hello::plain().with((43, vec8(&be(offered)))).whole()).version;
    assert_eq!(version(&[0x0a0a, 0x0303, 0x0304, 0x0302]), TlsVersion::TLS_1_3);
    assert_eq!(version(&[0x0302]), TlsVersion::TLS_1_1);
    assert_eq!(version(&[0xfafa, 0x7f1c]), TlsVersion::TLS_1_2, "GREASE and a draft: the old field counts");
    assert_eq!(hello(&Hello::plain().whole()).version, TlsVersion::TLS_1_2);
}

#[test]
fn versions_have_names() {
    let names =
        [0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x0305].map(|version| TlsVersion(version).to_string());
    insta::assert_snapshot!(names.join(", "), @"SSL 3.0, TLS 1.0, TLS 1.1, TLS 1.2, TLS 1.3, TLS 0x0305");
}

#[test]
fn with_ech_the_name_is_the_outer_one() {
    let hello = hello(&Hello::plain().with(ech()).with(server_name(b"public.example")).whole());
    assert_eq!((hello.server_name.as_deref(), hello.ech), (Some("public.example"), true));
}

#[test]
fn padding_and_what_nobody_knows_is_stepped_over() {
    let padded = Hello::plain()
        .with((21, vec![0; 400]))
        .with((0xbaba, Vec::new()))
        .with((0x1234, vec![0xff; 1000]))
        .with(server_name(b"padded.example"));
    assert_eq!(hello(&padded.whole()).server_name.as_deref(), Some("padded.example"));
}

#[test]
fn a_large_hello_with_a_post_quantum_key_share_is_read() {
    let stream = Hello::like_chrome().whole();
    assert!((1_500..=1_900).contains(&stream.len()), "{}", stream.len());
    let hello = hello(&stream);
    assert_eq!(hello.server_name.as_deref(), Some("chrome.example.com"));
    assert_eq!(protocols(&hello), [&b"h2"[..], b"http/1.1"]);
    assert_eq!((hello.ech, hello.version), (true, TlsVersion::TLS_1_3));
}
