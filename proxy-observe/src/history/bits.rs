//! Small numbers in few bits: 0 takes one, 1 and 2 take three, 3 to 6 take five, and so on (Exp-Golomb, as video codecs have it).

/// The bytes that are asked for at one time: a chunk in progress has hardly more than it needs.
const GROWS_BY: usize = 32;

/// Bits, written one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    len: u32,
}

impl Bits {
    /// Those that were written once: `len` is believed as far as there are bytes for it.
    pub(super) fn of(bytes: Vec<u8>, len: u32) -> Self {
        let most = u32::try_from(bytes.len().saturating_mul(8)).unwrap_or(u32::MAX);
        Self { bytes, len: len.min(most) }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they take of the heap.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Nothing more is written.
    pub(super) fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// The lowest `count` bits of `value`, the highest first.
    fn write(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            let used = self.len % 8;
            if used == 0 {
                if self.bytes.len() == self.bytes.capacity() {
                    self.bytes.reserve_exact(GROWS_BY);
                }
                self.bytes.push(0);
            }
            let taken = (8 - used).min(left);
            left -= taken;
            let part = (value >> left) & ((1 << taken) - 1);
            let [byte, ..] = (part << (8 - used - taken)).to_le_bytes();
            if let Some(last) = self.bytes.last_mut() {
                *last |= byte;
            }
            self.len += taken;
        }
    }

    /// One bit.
    pub(super) fn write_flag(&mut self, set: bool) {
        self.write(u64::from(set), 1);
    }

    /// A number: the smaller, the fewer bits.
    pub(super) fn write_number(&mut self, number: u32) {
        let number = u64::from(number) + 1;
        let more = number.ilog2();
        self.write((1 << (more + 1)) - 2, more + 1);
        self.write(number, more);
    }

    /// The 64 bits from `at` on; zeros where there are none.
    fn peek(&self, at: u32) -> u64 {
        let first = usize::try_from(at / 8).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(first..).unwrap_or_default();
        let mut word = [0; 8];
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u64::from_be_bytes(word) << (at % 8)
    }

    /// Reads one bit at `at`, and moves on.
    pub(super) fn read_flag(&self, at: &mut u32) -> bool {
        let word = self.peek(*at);
        *at = at.saturating_add(1);
        word >> 63 == 1
    }

    /// Reads a number at `at`, and moves on. Bits that no number was written as give some number.
    pub(super) fn read_number(&self, at: &mut u32) -> u32 {
        let word = self.peek(*at);
        // What is written fits into the 57 bits that are always there: it has 17 at most before its zero.
        let more = word.leading_ones().min(24);
        let rest = (word << more) << 1;
        let low = if more == 0 { 0 } else { rest >> (64 - more) };
        *at = at.saturating_add(2 * more + 1);
        u32::try_from(((1 << more) | low) - 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_numbers_take_few_bits() {
        let taken = |number| {
            let mut bits = Bits::default();
            bits.write_number(number);
            bits.len()
        };
        assert_eq!([0, 1, 2, 3, 6, 7, 14, 15].map(taken), [1, 3, 3, 5, 5, 7, 7, 9]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::vec((any::<bool>(), 0_u32..1 << 17), 0..200)) {
            let mut bits = Bits::default();
            for (flag, number) in &numbers {
                bits.write_flag(*flag);
                bits.write_number(*number);
            }
            bits.seal();
            let mut at = 0;
            for (flag, number) in &numbers {
                prop_assert_eq!(bits.read_flag(&mut at), *flag);
                prop_assert_eq!(bits.read_number(&mut at), *number);
            }
            prop_assert_eq!(at, bits.len());
        }

        /// A file that somebody broke gives wrong numbers, and no panic.
        #[test]
        fn any_bytes_are_read_as_something(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in 0_u32..400) {
            let bits = Bits::of(bytes, u32::MAX);
            let mut at = at;
            for _ in 0..20 {
                bits.read_number(&mut at);
                bits.read_flag(&mut at);
            }
        }
    }
}
