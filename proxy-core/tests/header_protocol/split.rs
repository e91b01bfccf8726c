//! A header arrives in two pieces, cut anywhere, with payload behind it.

use proptest::prelude::*;
use proxy_core::header::{HeaderLimits, Prefix, V1Error, could_be_header};

use super::samples::{all, decode, whole};

#[test]
fn every_start_of_a_good_header_asks_for_more() {
    for (name, header) in all() {
        for end in 0..header.len() {
            assert_eq!(decode(&header[..end]), Ok(None), "{name}, first {end} bytes");
        }
    }
}

#[test]
fn a_whole_header_ends_where_it_ends() {
    for (name, header) in all() {
        let decoded = whole(&header);
        assert_eq!(decoded.len, header.len(), "{name}");
        for payload in [b"x".as_slice(), b"\r\n", b"\n", b"PROXY TCP4 ", &[0; 300]] {
            assert_eq!(whole(&[&header, payload].concat()), decoded, "{name} before {payload:?}");
        }
    }
}

#[test]
fn the_longest_v1_lines_are_of_107_bytes_and_no_more() {
    let line = |junk: usize| [b"PROXY UNKNOWN ".as_slice(), &vec![b'x'; junk], b"\r\n"].concat();
    assert_eq!(whole(&line(91)).len, 107);
    assert!(decode(&line(92)).is_err());
    // It is known when the 106th byte is not CR, since no CR LF fits behind it.
    assert_eq!(decode(&line(92)[..105]), Ok(None));
    assert!(decode(&line(92)[..106]).is_err());
}

/// Two addresses of full length with IPv4 at their ends leave no room for the shortest ports.
#[test]
fn a_line_that_will_not_fit_is_refused_before_it_is_there() {
    let address = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255";
    let line = format!("PROXY TCP6 {address} {address}");
    let fits = &line[..line.len() - 1];
    assert_eq!(whole(format!("{fits} 0 0\r\n").as_bytes()).len, 107);
    for end in 0..=fits.len() {
        assert_eq!(decode(&line.as_bytes()[..end]), Ok(None), "first {end} bytes");
    }
    assert_eq!(decode(line.as_bytes()), Err(V1Error::TooLong { max: 107 }.into()));
}

#[test]
fn the_limit_of_v2_counts_the_whole_header() {
    for (name, header) in all() {
        let decode = |max_v2| proxy_core::header::decode(&header, &HeaderLimits::default().max_v2(max_v2));
        assert!(decode(header.len()).is_ok(), "{name}");
        assert_eq!(decode(header.len() - 1).is_err(), name.starts_with("v2"), "{name}");
        assert!(HeaderLimits::default().max_v2(header.len()).buffer_len() >= header.len());
    }
    assert_eq!(HeaderLimits::default().buffer_len(), 4096);
}

#[test]
fn signatures_are_told_by_every_byte() {
    for (name, header) in all() {
        let signature = if name.starts_with("v1") { 6 } else { 12 };
        for end in 0..header.len() {
            let expected = if end < signature { Prefix::Partial } else { Prefix::Yes };
            assert_eq!(could_be_header(&header[..end]), expected, "{name}, first {end} bytes");
        }
        for at in 0..signature {
            let mut wrong = header[..=at].to_vec();
            wrong[at] ^= 0x20;
            assert_eq!(could_be_header(&wrong), Prefix::No, "{name}, byte {at} wrong");
            assert!(decode(&wrong).is_err(), "{name}, byte {at} wrong");
        }
    }
}

#[test]
fn other_protocols_are_told_by_their_first_bytes() {
    for greeting in [b"G".as_slice(), b"\x16", b"SSH-", b"\r\n\r\nG", b"PO", b"PRI", b"PROXYT", b"\n", b"\0"]
    {
        assert_eq!(could_be_header(greeting), Prefix::No);
        assert!(decode(greeting).is_err(), "{}", greeting.escape_ascii());
    }
}

/// All lines that complete the start of some line, if any does.
fn endings() -> Vec<String> {
    let ends = ["", "0", ":", "::", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0", "0.0.0.0"];
    let tails = ["\n", "\r\n", " 0\r\n", " 0 0\r\n", " :: 0 0\r\n", " :: :: 0 0\r\n"];
    let tails = tails.iter().flat_map(|tail| [(*tail).to_owned(), tail.replace("::", "0.0.0.0")]);
    let lines = [
        "PROXY UNKNOWN\r\n",
        "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n",
        "PROXY TCP6 :: :: 0 0\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ];
    let starts = lines.into_iter().flat_map(|line| (0..line.len()).map(|at| line[at..].to_owned()));
    tails.flat_map(|tail| ends.map(|end| format!("{end}{tail}"))).chain(starts).collect()
}

proptest! {
    /// `Ok(None)` is never a way to hold a connection with a line that cannot become good.
    #[test]
    fn what_asks_for_more_can_be_completed(
        sample in 0..8_usize,
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        with in "[0-9:. \r\na-gA-G]{0,3}",
    ) {
        let mut bytes = all()[sample].1.clone();
        bytes.truncate(cut.index(bytes.len()));
        let at = at.index(bytes.len() + 1);
        bytes.splice(at..bytes.len().min(at + 1), with.bytes());
        if decode(&bytes) == Ok(None) {
            let good = |end: &String| matches!(decode(&[&bytes, end.as_bytes()].concat()), Ok(Some(_)));
            prop_assert!(endings().iter().any(good), "{}", bytes.escape_ascii());
        }
    }
}
