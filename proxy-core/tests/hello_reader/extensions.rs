//! What is read out of well-formed hellos.

use proxy_core::hello::{MAX_PROTOCOLS, NotTls, TlsVersion};

use crate::builder::*;

fn name_of(extension: Extension) -> Option<Box<str>> {
    hello(&Hello::plain().with(extension).whole()).server_name
}

#[test]
fn a_client_without_extensions_asks_for_nothing() {
    let hello = hello(&Hello { version: 0x0300, ..Hello::bare() }.whole());
    assert_eq!((hello.server_name, hello.alpn.len(), hello.ech), (None, 0, false));
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

/// Wrong by RFC 6066, but sent: the stream is TLS, and goes where nameless streams go.
#[test]
fn what_is_no_host_name_counts_as_none() {
    for name in [
        &b"192.0.2.1"[..],
        b"2001:db8::1",
        b"[::1]",
        b"a b",
        b"host:443",
        b"\xff\xfe",
        b".",
        b"-x.example",
        b"a\0b",
    ] {
        assert_eq!(name_of(server_name(name)), None, "{name:?}");
    }
    assert_eq!(name_of(server_name(&[b'a'; 300])), None);
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

#[test]
fn as_many_protocols_as_the_bound_are_read_and_one_more_is_refused() {
    let most = vec![&b"h2"[..]; MAX_PROTOCOLS];
    assert_eq!(hello(&Hello::plain().with(alpn(&most)).whole()).alpn.len(), MAX_PROTOCOLS);
    let more = vec![&b"h2"[..]; MAX_PROTOCOLS + 1];
    assert_eq!(refusal(&Hello::plain().with(alpn(&more)).whole()), NotTls::TooManyProtocols);
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
