//! What real clients send; `../hellos/README.md` says how it was recorded.

use proxy_core::hello::{HelloReader, TlsVersion};

use crate::builder::*;

macro_rules! capture {
    ($name:literal) => {
        bytes(include_str!(concat!("../hellos/", $name, ".hex")))
    };
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Every capture, by name.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("openssl_tls13_sni_alpn", capture!("openssl_tls13_sni_alpn")),
        ("openssl_tls12_sni", capture!("openssl_tls12_sni")),
        ("openssl_tls10_no_sni", capture!("openssl_tls10_no_sni")),
        ("openssl_512_byte_records", capture!("openssl_512_byte_records")),
        ("curl_localhost_h2", capture!("curl_localhost_h2")),
        ("curl_ip_literal", capture!("curl_ip_literal")),
        ("node_sni_alpn", capture!("node_sni_alpn")),
    ]
}

#[test]
fn captures_are_read() {
    let read = |(name, stream): &(&str, Vec<u8>)| {
        let hello = hello(stream);
        let alpn = protocols(&hello).join(&b' ').escape_ascii().to_string();
        let alpn = if alpn.len() > 40 { format!("{} protocols", protocols(&hello).len()) } else { alpn };
        let server_name = hello.server_name.as_deref().unwrap_or("-");
        format!("{name}: {server_name} [{alpn}] {}", hello.version)
    };
    insta::assert_snapshot!(all().iter().map(read).collect::<Vec<_>>().join("\n"), @r"
    openssl_tls13_sni_alpn: shop.example.com [h2 http/1.1] TLS 1.3
    openssl_tls12_sni: mail.example.org [] TLS 1.2
    openssl_tls10_no_sni: - [] TLS 1.0
    openssl_512_byte_records: split.example.com [40 protocols] TLS 1.3
    curl_localhost_h2: localhost [h2 http/1.1] TLS 1.3
    curl_ip_literal: - [http/1.1] TLS 1.3
    node_sni_alpn: node.example.com [h2 http/1.1] TLS 1.3
    ");
}

#[test]
fn captures_are_complete_with_their_last_byte() {
    for (name, stream) in all() {
        let (progress, pushed) = read_in_chunks(&mut HelloReader::default(), stream.chunks(1));
        assert_eq!((progress, pushed), (read(&stream), stream.len()), "{name}");
    }
}

#[test]
fn the_fragmented_capture_really_is() {
    let stream = capture!("openssl_512_byte_records");
    assert_eq!(stream[3..5], 512_u16.to_be_bytes());
    assert_eq!(hello(&stream).version, TlsVersion::TLS_1_3);
}
