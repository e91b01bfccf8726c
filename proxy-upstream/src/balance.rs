//! Which member a connection is offered to first, and which ones after that: the choice, apart from all that is counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::SmallVec;

/// A turn that moves on by one with each use, shared by all workers without a lock.
///
/// Two workers never wait for each other; with members that come and go between two uses, the turn is only fair in
/// the long run.
#[derive(Debug, Default)]
pub struct Rotation(AtomicUsize);

impl Rotation {
    /// The number of this use.
    pub fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Positions of `len` members in the order in which to try them, for the use of that number: the one whose turn it is first,
/// then those after it, and round to those before it; those that are `last` come after the others, in the same order. Each
/// position comes once.
pub fn round_robin(turn: usize, len: usize, last: impl Fn(usize) -> bool) -> Order {
    // The number wraps at the end of its range, where one turn may be skipped. With no members nothing follows.
    let first = turn.checked_rem(len).unwrap_or(0);
    let mut order: Order = (first..len).chain(0..first).collect();
    if len > 1 {
        order.sort_by_key(|position| last(*position));
    }
    order
}

/// Positions of members, in the order in which to try them.
pub type Order = SmallVec<[usize; 4]>;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(turn: usize, len: usize) -> Vec<usize> {
        round_robin(turn, len, |_| false).to_vec()
    }

    #[test]
    fn each_use_starts_one_further_and_wraps() {
        let rotation = Rotation::default();
        let orders: Vec<_> = (0..4).map(|_| order(rotation.next(), 3)).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }

    #[test]
    fn the_end_of_the_number_range_is_no_end() {
        let rotation = Rotation(AtomicUsize::new(usize::MAX));
        assert_eq!([order(rotation.next(), 2), order(rotation.next(), 2)], [[1, 0], [0, 1]]);
    }

    #[test]
    fn no_members_no_order() {
        assert_eq!(order(0, 0), [0_usize; 0]);
    }

    #[test]
    fn who_is_last_keeps_its_turn_among_the_last() {
        assert_eq!(round_robin(1, 4, |at| at == 1 || at == 2).to_vec(), [3, 0, 1, 2]);
        assert_eq!(round_robin(2, 4, |_| true).to_vec(), [2, 3, 0, 1]);
    }

    proptest! {
        #[test]
        fn every_member_comes_once(turn: usize, len in 0..50_usize, last: u64) {
            let mut seen = round_robin(turn, len, |at| last & (1 << at) != 0).to_vec();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..len));
        }
    }
}
