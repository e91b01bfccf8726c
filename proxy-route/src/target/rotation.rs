//! Whose turn it is: round robin over the targets of a route.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A turn that moves on by one with each use, shared by all workers without a lock.
///
/// Two workers never wait for each other; with targets that come and go between two uses, the turn is only fair in
/// the long run.
#[derive(Debug, Default)]
pub struct Rotation(AtomicUsize);

impl Rotation {
    /// Positions of `len` targets in the order in which to try them: the next one first, then those after it, and
    /// round to those before it. Each position comes once.
    pub fn order(&self, len: usize) -> impl Iterator<Item = usize> + use<> {
        // It wraps at the end of the number range, where one turn may be skipped. With no targets nothing follows.
        let turn = self.0.fetch_add(1, Ordering::Relaxed).checked_rem(len).unwrap_or(0);
        (turn..len).chain(0..turn)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(rotation: &Rotation, len: usize) -> Vec<usize> {
        rotation.order(len).collect()
    }

    #[test]
    fn each_use_starts_one_further_and_wraps() {
        let rotation = Rotation::default();
        assert_eq!(order(&rotation, 3), [0, 1, 2]);
        assert_eq!(order(&rotation, 3), [1, 2, 0]);
        assert_eq!(order(&rotation, 3), [2, 0, 1]);
        assert_eq!(order(&rotation, 3), [0, 1, 2]);
    }

    #[test]
    fn the_end_of_the_number_range_is_no_end() {
        let rotation = Rotation(AtomicUsize::new(usize::MAX));
        assert_eq!(order(&rotation, 2), [1, 0]);
        assert_eq!(order(&rotation, 2), [0, 1]);
    }

    #[test]
    fn no_targets_no_order() {
        assert_eq!(order(&Rotation::default(), 0), [0_usize; 0]);
    }

    proptest! {
        #[test]
        fn every_target_comes_once(turn: usize, len in 0..50_usize) {
            let mut seen = order(&Rotation(AtomicUsize::new(turn)), len);
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..len));
        }
    }
}
