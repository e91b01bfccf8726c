//! CRC-32C (Castagnoli), as RFC 4960 appendix B defines it and the v2 TLV 0x03 uses it.
//!
//! One table of 256 entries, made by the compiler. A header is a few hundred bytes and comes once a
//! connection, so neither the instruction of the processor nor slicing by eight would be noticed.

/// The Castagnoli polynomial 0x1EDC6F41, bits reversed, because the checksum takes the low bit first.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where out of bounds does not build")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    let mut seed: u32 = 0;
    while byte < table.len() {
        let mut crc = seed;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
        seed += 1;
    }
    table
}

/// A checksum under way.
#[derive(Clone, Copy)]
pub(super) struct Crc32c(u32);

impl Crc32c {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    /// The checksum over all bytes so far and then `bytes`.
    pub(super) fn update(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |crc, byte| step(crc, *byte)))
    }

    pub(super) const fn finish(self) -> u32 {
        !self.0
    }
}

#[expect(clippy::indexing_slicing, reason = "a byte cannot be out of bounds in 256 entries")]
const fn step(crc: u32, byte: u8) -> u32 {
    let low = crc.to_le_bytes()[0] ^ byte;
    TABLE[low as usize] ^ (crc >> 8)
}

/// The checksum of a header whose four checksum bytes, at `hole`, count as zero.
pub(super) fn with_hole(header: &[u8], hole: usize) -> u32 {
    let (before, rest) = header.split_at_checked(hole).unwrap_or((header, &[]));
    let after = rest.get(4..).unwrap_or_default();
    Crc32c::new().update(before).update(&[0; 4]).update(after).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc32c(bytes: &[u8]) -> u32 {
        Crc32c::new().update(bytes).finish()
    }

    /// The check value of the catalogue of CRCs, and the vectors of RFC 3720, appendix B.4.
    #[test]
    fn known_vectors() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|i| u8::try_from(i).unwrap())), 0x46DD_794E);
    }

    #[test]
    fn pieces_and_holes() {
        assert_eq!(Crc32c::new().update(b"1234").update(b"56789").finish(), 0xE306_9283);
        assert_eq!(with_hole(b"ab\x01\x02\x03\x04cd", 2), crc32c(b"ab\0\0\0\0cd"));
    }
}
