//! Whose turn it is: a number that all workers share.

use std::sync::atomic::{AtomicU64, Ordering};

/// A turn that moves on by one with each use, shared by all workers without a lock.
///
/// Two workers never wait for each other; with members that come and go between two uses, the turn is only fair in
/// the long run.
#[derive(Debug, Default)]
pub struct Rotation(AtomicU64);

impl Rotation {
    /// The number of this use.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of the next use.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// 2⁶⁴ divided by the golden ratio: multiples of it are spread as evenly as can be.
pub(super) const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number that looks random and follows from `n` alone (the finaliser of splitmix64).
pub(crate) const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(GOLDEN);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// One of `of` numbers, evenly, by a number that looks random; 0 where there is none.
pub(super) fn one_of(of: u32, random: u64) -> u32 {
    let scaled = ((random >> 32) * u64::from(of)) >> 32;
    u32::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_has_its_number_and_the_last_is_followed_by_the_first() {
        let turn = Rotation(AtomicU64::new(u64::MAX));
        assert_eq!([turn.next(), turn.next(), turn.now()], [u64::MAX, 0, 1]);
    }

    #[test]
    fn one_of_some_is_every_one_about_as_often() {
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|n| counts[one_of(7, mix(n)) as usize] += 1);
        // Four standard deviations of a binomial.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 371), "{counts:?}");
        assert_eq!(one_of(0, u64::MAX), 0);
    }
}
