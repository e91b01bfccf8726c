//! What is taken and what is not, in one piece and in single bytes.

use super::*;

const HOST: &str = "Host: a\r\n";

/// How many have come whole, or why not.
fn all(bytes: &[u8]) -> Result<u64, &'static str> {
    let mut framer = RequestFramer::new(FramerLimits::default());
    let whole = framer.take(bytes).map(|()| framer.ended()).map_err(|(_, refusal)| refusal.word);
    let mut framer = RequestFramer::new(FramerLimits::default());
    let mut pieces = Ok(0);
    for byte in bytes {
        if let Err((sound, refusal)) = framer.take(&[*byte]) {
            assert_eq!(sound, 0);
            pieces = Err(refusal.word);
            break;
        }
        pieces = Ok(framer.ended());
    }
    assert_eq!(whole, pieces, "{:?}", String::from_utf8_lossy(bytes));
    whole
}

fn get(fields: &str) -> Result<u64, &'static str> {
    all(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes())
}

fn chunks(body: &str) -> Result<u64, &'static str> {
    all(format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
}

#[test]
fn requests_that_everybody_reads_alike_are_taken() {
    assert_eq!(get(HOST), Ok(1));
    assert_eq!(all(b"GET / HTTP/1.0\r\n\r\n"), Ok(1));
    assert_eq!(
        all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET http://a/x?y HTTP/1.1\r\nhost:a\r\n\r\n"),
        Ok(2)
    );
    assert_eq!(all(b"\r\nGET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), Ok(1));
    assert_eq!(
        all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Ok(2)
    );
    assert_eq!(all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"), Ok(0));
    assert_eq!(chunks("5\r\nhello\r\n0\r\n\r\n"), Ok(1));
    assert_eq!(chunks("5;a=b;c=\"d e\"\r\nhello\r\n0\r\nGrpc-Status: 0\r\n\r\n"), Ok(1));
    assert_eq!(chunks("5\r\nhello\r\n0\r\n"), Ok(0));
    assert_eq!(all(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), Ok(1));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (fields, word) in [
        ("", "no_host"),
        ("Host: a\r\nHost: a\r\n", "two_hosts"),
        ("Host: a b\r\n", "host"),
        ("Host: u@a\r\n", "host"),
        ("Host:\r\n", "host"),
        ("Host: a:b\r\n", "host"),
        ("Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", "length_and_encoding"),
        ("Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "several_content_lengths"),
        ("Host: a\r\nContent-Length: 1, 1\r\n", "content_length"),
        ("Host: a\r\nContent-Length: +1\r\n", "content_length"),
        ("Host: a\r\nContent-Length: 99999999999999999999\r\n", "content_length"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", "transfer_encoding"),
        (
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "several_transfer_encodings",
        ),
        ("Host : a\r\n", "space_before_colon"),
        ("Host: a\r\n b\r\n", "folded"),
        ("Host: a\r\nb\r\n", "no_colon"),
        ("Host: a\r\n: b\r\n", "field_name"),
        ("Host: a\r\nb\u{e9}: c\r\n", "field_name"),
        ("Host: a\r\nb: c\rd\r\n", "bare_cr"),
        ("Host: a\r\nb: c\0d\r\n", "control"),
        ("Host: a\n", "bare_lf"),
    ] {
        assert_eq!(get(fields), Err(word), "{fields:?}");
    }
    for (line, word) in [
        ("GET  / HTTP/1.1", "request_line"),
        ("GET / HTTP/1.1 ", "request_line"),
        ("GET /", "request_line"),
        ("GET / http/1.1", "request_line"),
        ("GET / HTTP/1.2", "version"),
        ("PRI * HTTP/2.0", "http2_preface"),
        ("G(T / HTTP/1.1", "method"),
        ("GET /#a HTTP/1.1", "target"),
        ("GET a HTTP/1.1", "target"),
        ("GET * HTTP/1.1", "target"),
        ("GET ftp://a/ HTTP/1.1", "target"),
        ("GET http://b/ HTTP/1.1", "other_host"),
        ("GET http://u@a/ HTTP/1.1", "target"),
        ("CONNECT / HTTP/1.1", "connect_target"),
        ("CONNECT a HTTP/1.1", "connect_target"),
    ] {
        assert_eq!(all(format!("{line}\r\n{HOST}\r\n").as_bytes()), Err(word), "{line:?}");
    }
    assert_eq!(
        all(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Err("transfer_encoding_in_1_0")
    );
    assert_eq!(all(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err("empty_lines"));
    assert_eq!(all(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err("empty_lines"));
}

#[test]
fn chunks_are_as_they_are_written_and_no_other_way() {
    for (body, word) in [
        ("5 \r\nhello\r\n", "chunk_extension"),
        ("0x5\r\nhello\r\n", "chunk_extension"),
        ("+5\r\nhello\r\n", "chunk_size"),
        ("\r\nhello\r\n", "chunk_size"),
        ("ffffffffffffffff\r\n", "chunk_size"),
        ("00000000000000005\r\nhello\r\n", "chunk_size"),
        ("5;a=\u{1}\r\nhello\r\n", "chunk_extension"),
        ("5\nhello\r\n", "bare_lf"),
        ("5;a\rb\r\nhello\r\n", "bare_cr"),
        ("5\r\nhello0\r\n\r\n", "chunk_end"),
        ("5\r\nhello\n0\r\n\r\n", "chunk_end"),
        ("0\r\nContent-Length: 5\r\n\r\n", "trailer"),
        ("0\r\na b: c\r\n\r\n", "field_name"),
        ("0\r\na: b\n\r\n", "bare_lf"),
    ] {
        assert_eq!(chunks(body), Err(word), "{body:?}");
    }
}

#[test]
fn what_comes_before_a_refusal_is_sound() {
    let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut framer = RequestFramer::new(FramerLimits::default());
    let (sound, refusal) = framer.take(&[&good[..], b"\n"].concat()).unwrap_err();
    assert_eq!((sound, refusal.word, framer.ended()), (good.len(), "empty_lines", 1));
    assert_eq!(framer.take(good).unwrap_err(), (0, refusal), "and nothing after it is taken");
}

#[test]
fn what_is_too_large_is_told_so_before_it_is_whole() {
    let long = "x".repeat(70_000);
    assert_eq!(all(format!("GET /{long}").as_bytes()), Err("uri_too_long"));
    assert_eq!(get(&format!("{HOST}a: {long}\r\n")), Err("head_too_large"));
    assert_eq!(get(&format!("{HOST}{}", "a: b\r\n".repeat(100))), Err("too_many_fields"));
    assert_eq!(chunks(&format!("5;a={long}")), Err("chunk_line_too_long"));
    assert_eq!(chunks(&format!("0\r\na: {long}\r\n")), Err("trailer_too_large"));
}

#[test]
fn behind_a_switch_everything_passes() {
    let mut framer = RequestFramer::new(FramerLimits::default());
    framer.take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    framer.switch();
    framer.take(b"\n\n\0 whatever").unwrap();
    assert!(!framer.is_in_head() && !framer.is_in_body());
}
