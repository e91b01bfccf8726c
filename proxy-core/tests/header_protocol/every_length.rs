//! The length of a v2 header does not fit what it should hold.

use proxy_core::header::{Command, Endpoints, HeaderError, TlvFault, V2Error};

use super::samples::{FAMILIES, LOCAL, PROXY, decode, v2, whole};

/// A block of zeros: addresses of zeros, then TLVs of type 0 and no value, of three bytes each.
#[test]
fn addresses_need_their_room_and_tlvs_theirs() {
    for (family, need) in FAMILIES {
        for len in 0..=300 {
            let outcome = decode(&v2(PROXY, family, &vec![0; len]));
            let rest = len.checked_sub(need);
            match rest.map(|rest| (rest / 3, rest % 3)) {
                None => assert!(
                    matches!(outcome, Err(HeaderError::V2(V2Error::ShortAddress { len: l, need: n, .. })) if (l, n) == (len, need)),
                    "{family:#x} {len}: {outcome:?}"
                ),
                Some((count, 0)) => {
                    let decoded = outcome.unwrap().unwrap();
                    assert_eq!((decoded.len, decoded.header.tlvs.other.len()), (16 + len, count));
                }
                Some((_, left)) => assert_eq!(
                    outcome,
                    Err(V2Error::BadTlv { offset: 16 + len - left, fault: TlvFault::Truncated { left } }
                        .into())
                ),
            }
        }
    }
}

#[test]
fn a_local_block_holds_anything() {
    for family in 0..=u8::MAX {
        for len in 0..=300 {
            for fill in [0x00, 0x03, 0xFF] {
                let decoded = whole(&v2(LOCAL, family, &vec![fill; len]));
                assert_eq!(decoded.len, 16 + len);
                assert_eq!(decoded.header.command, Command::Local);
                assert_eq!(decoded.header.endpoints, Endpoints::Unknown);
            }
        }
    }
}

#[test]
fn every_other_family_is_refused_at_its_byte() {
    for family in 0..=u8::MAX {
        let header = v2(PROXY, family, &[0; 216]);
        let expected = match family {
            0x00 | 0x11 | 0x21 | 0x31 => Ok(None),
            0x12 | 0x22 | 0x32 => Err(V2Error::Datagram { found: family }.into()),
            found => Err(V2Error::Family { found }.into()),
        };
        assert_eq!(decode(&header[..14]), expected);
    }
}

#[test]
fn every_other_command_is_refused_at_its_byte() {
    for byte in 0..=u8::MAX {
        let header = v2(byte, 0, &[]);
        let expected = match (byte >> 4, byte & 15) {
            (2, 0 | 1) => Ok(None),
            (2, found) => Err(V2Error::Command { found }.into()),
            (found, _) => Err(V2Error::Version { found }.into()),
        };
        assert_eq!(decode(&header[..13]), expected);
    }
}

#[test]
fn too_long_is_said_before_the_bytes_come() {
    let long = |len: u16| [v2(PROXY, 0x11, &[]).split_at(14).0, &len.to_be_bytes()].concat();
    assert_eq!(decode(&long(4080)), Ok(None));
    assert_eq!(decode(&long(4081)), Err(V2Error::TooLong { len: 4097, max: 4096 }.into()));
    // 0x10.. alone says 4096 or more behind the fixed part.
    assert_eq!(decode(&long(0x1001)[..15]), Err(V2Error::TooLong { len: 4112, max: 4096 }.into()));
    assert!(decode(&long(u16::MAX)).is_err());
}
