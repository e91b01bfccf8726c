//! CRC-32C (Castagnoli), as RFC 4960 appendix B defines it and the v2 TLV 0x03 uses it.

use crc::{CRC_32_ISCSI, Crc, Table};

/// One table of 256 entries, 1 KiB: a header is a few hundred bytes and comes once a connection, so slicing by sixteen would
/// not be noticed.
static CRC32C: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// The checksum of a header whose four checksum bytes, at `hole`, count as zero.
pub(super) fn with_hole(header: &[u8], hole: usize) -> u32 {
    let (before, rest) = header.split_at_checked(hole).unwrap_or((header, &[]));
    let mut sum = CRC32C.digest();
    sum.update(before);
    sum.update(&[0; 4]);
    sum.update(rest.get(4..).unwrap_or_default());
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 3720, appendix B.4, whose first or last four bytes are zero: the hole.
    #[test]
    fn known_vectors() {
        assert_eq!(with_hole(&[0; 32], 0), 0x8A91_36AA);
        assert_eq!(with_hole(&[0; 32], 28), 0x8A91_36AA);
        let command = [
            0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0,
            0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(with_hole(&command, 4), 0xD996_3A56);
        assert_eq!(with_hole(&command, 44), 0xD996_3A56);
    }

    #[test]
    fn what_is_in_the_hole_does_not_count() {
        assert_eq!(with_hole(b"ab\x01\x02\x03\x04cd", 2), with_hole(b"ab\0\0\0\0cd", 2));
        assert_ne!(with_hole(b"ab\x01\x02\x03\x04cd", 3), with_hole(b"ab\0\0\0\0cd", 3));
    }
}
