//! What is sent: every byte follows from whose stream it is in and where, so that any part can be checked by itself.

/// The bytes of one direction of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// What comes first: a ClientHello, say.
    prefix: Vec<u8>,
    stream: u64,
}

impl Content {
    /// The bytes of stream number `stream`.
    pub(super) fn new(stream: u64) -> Self {
        Self { prefix: Vec::new(), stream }
    }

    /// The same after `prefix`.
    pub(super) fn after(prefix: Vec<u8>, stream: u64) -> Self {
        Self { prefix, stream }
    }

    /// Calls `each` with the place in a buffer and the byte there, for `len` bytes from `position` on.
    fn each(&self, position: u64, len: usize, mut each: impl FnMut(usize, u8)) {
        let mut word = (u64::MAX, [0; 8]);
        for (n, at) in (0..len).zip(position..) {
            if word.0 != at / 8 {
                word = (at / 8, mix(self.stream ^ mix(at / 8)).to_le_bytes());
            }
            let given = usize::try_from(at).ok().and_then(|at| self.prefix.get(at)).copied();
            let [first, ..] = word.1;
            let drawn = word.1.get((at % 8) as usize).copied().unwrap_or(first);
            each(n, given.unwrap_or(drawn));
        }
    }

    /// Fills `buffer` with the bytes from `position` on.
    pub(super) fn fill(&self, position: u64, buffer: &mut [u8]) {
        let len = buffer.len();
        self.each(position, len, |n, byte| {
            if let Some(slot) = buffer.get_mut(n) {
                *slot = byte;
            }
        });
    }

    /// The position of the first of `bytes`, which were received from `position` on, that is not the one sent there.
    pub(super) fn first_wrong(&self, position: u64, bytes: &[u8]) -> Option<u64> {
        let mut wrong = None;
        self.each(position, bytes.len(), |n, byte| {
            if wrong.is_none() && bytes.get(n) != Some(&byte) {
                wrong = Some(position + n as u64);
            }
        });
        wrong
    }
}

/// The finalizer of `SplitMix64`: every bit of the result depends on every bit of the input.
const fn mix(mut n: u64) -> u64 {
    n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_can_be_checked_by_itself_and_a_shift_is_seen() {
        let content = Content::after(b"hello".to_vec(), 7);
        let mut bytes = [0; 1000];
        content.fill(3, &mut bytes);
        assert_eq!(content.first_wrong(3, &bytes), None);
        assert_eq!(&bytes[..2], b"lo");
        assert!(content.first_wrong(4, &bytes).is_some());
        assert!(Content::new(8).first_wrong(1000, &bytes[..16]).is_some());
        bytes[500] ^= 1;
        assert_eq!(content.first_wrong(3, &bytes), Some(503));
    }
}
