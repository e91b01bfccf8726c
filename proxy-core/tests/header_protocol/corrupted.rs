//! One byte of a good header is wrong.

use super::samples::{all, decode};

/// Every byte takes every value. Nothing panics, nothing is read behind the end, and what a shorter piece
/// said stays true.
#[test]
fn every_byte_takes_every_value() {
    for (name, header) in all() {
        for at in 0..header.len() {
            for value in 0..=u8::MAX {
                let mut bytes = header.clone();
                bytes[at] = value;
                let outcome = decode(&bytes);
                if let Ok(Some(decoded)) = &outcome {
                    assert!(decoded.len <= bytes.len(), "{name}: byte {at} is {value:#x}");
                }
                if decode(&bytes[..=at]).is_err() {
                    assert!(outcome.is_err(), "{name}: byte {at} is {value:#x}");
                }
            }
        }
    }
}

/// With a checksum, no change of one byte of the addresses or values passes.
#[test]
fn a_checksum_leaves_no_changed_byte_unseen() {
    for (name, header) in all() {
        if !name.ends_with("with TLVs") {
            continue;
        }
        for at in 16..header.len() {
            for bit in 0..8 {
                let mut bytes = header.clone();
                bytes[at] ^= 1 << bit;
                // The type of the checksum's own TLV is what makes it one.
                let unsealed = header[at..].starts_with(&[3, 0, 4]);
                assert!(unsealed || !matches!(decode(&bytes), Ok(Some(_))), "{name}: byte {at}, bit {bit}");
            }
        }
    }
}

/// What the text format has no room for, all of which some parser takes.
#[test]
fn lines_that_look_almost_right() {
    for line in [
        "PROXY TCP4 1.2.3.4 5.6.7.8 +80 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 080 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 00 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 -1 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80 65536\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80  443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80 443 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80 443 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80 443\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 80 \r\n",
        "PROXY TCP4 1.2.3.4\r\n",
        "PROXY TCP4\r\n",
        "PROXY \r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY\tTCP4 1.2.3.4 5.6.7.8 80 443\r\n",
        "proxy TCP4 1.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY TCP4 01.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY TCP4 1.2.3.256 5.6.7.8 80 443\r\n",
        "PROXY TCP4 ::1 ::1 80 443\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY TCP6 1.2.3.4 ::1 80 443\r\n",
        "PROXY TCP4 ::1 5.6.7.8 80 443\r\n",
        "PROXY TCP6 ::1 1.2.3.256 80 443\r\n",
        "PROXY TCP4 1.2.3.4 1:2 80 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 80 443\r\n",
        "PROXY TCP6 [::1] ::1 80 443\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 80 443\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN a\nb\r\n",
        "PROXY UNKNOWN a\rb\r\n",
    ] {
        assert!(decode(line.as_bytes()).is_err(), "{line:?}");
    }
}
