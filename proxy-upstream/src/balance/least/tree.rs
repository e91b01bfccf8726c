//! A tree of minima that many threads write without a lock.
//!
//! ```text
//!            root: the least of all, and whose it is
//!        ┌────┴─────┐
//!      least      least          each of FAN below it
//!     ┌──┴──┐    ┌──┴──┐
//!    leaf  leaf leaf  leaf       what was last seen of a member
//! ```
//! Who writes a leaf makes the minima above it anew. Where two do so at the same moment a minimum may be of a moment ago; that lasts
//! until a leaf below it is written again, which the one that is taken for the least is at once.
//! Whoever takes the least looks at the member itself, so nothing worse follows than a member that is overlooked for that long.

use std::sync::atomic::{AtomicU64, Ordering};

/// Children of a node: those of 64 bits are one cache line.
const FAN: usize = 8;

const LAST_BITS: u32 = 16;
const INDEX_BITS: u32 = 20;
const LOAD_BITS: u32 = 64 - LAST_BITS - INDEX_BITS;

/// The largest load that is told from a larger one: a million connections of the smallest weight.
const MOST: u64 = (1 << LOAD_BITS) - 2;

/// Nobody.
const NONE: u64 = u64::MAX;

/// What was last seen of a member. The least is the one with the least load, and of these the one that was taken longest ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaf {
    /// [`u64::MAX`] for one that does not serve.
    pub(super) load: u64,
    /// The sweep after the one in which it was last taken.
    pub(super) last: u16,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Minima {
    /// The leaves, then what is above them, up to the root alone.
    storeys: Box<[Box<[AtomicU64]>]>,
}

fn pack(leaf: Leaf, at: usize) -> u64 {
    let index = at as u64;
    // Whose number has no room here is never the least; there is room for a million members.
    if leaf.load == u64::MAX || index >= 1 << INDEX_BITS {
        return NONE;
    }
    leaf.load.min(MOST) << (LAST_BITS + INDEX_BITS) | u64::from(leaf.last) << INDEX_BITS | index
}

fn unpack(word: u64) -> Leaf {
    let load = word >> (LAST_BITS + INDEX_BITS);
    let last = u16::try_from((word >> INDEX_BITS) & 0xFFFF).unwrap_or(0);
    Leaf { load: if word == NONE { u64::MAX } else { load }, last: if word == NONE { 0 } else { last } }
}

impl Minima {
    /// A tree in which nobody serves.
    pub(super) fn new(len: usize) -> Self {
        let sizes = std::iter::successors(Some(len), |below| (*below > 1).then(|| below.div_ceil(FAN)));
        let storey = |size: usize| (0..size).map(|_| AtomicU64::new(NONE)).collect();
        Self { storeys: sizes.map(storey).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.storeys.first().map_or(0, |leaves| leaves.len())
    }

    pub(super) fn leaf(&self, at: usize) -> Leaf {
        let leaf = self.storeys.first().and_then(|leaves| leaves.get(at));
        unpack(leaf.map_or(NONE, |leaf| leaf.load(Ordering::Relaxed)))
    }

    /// The least, and whose it is; None where nobody serves.
    pub(super) fn least(&self) -> Option<(usize, Leaf)> {
        let root = self.storeys.last()?.first()?.load(Ordering::Relaxed);
        let index = usize::try_from(root & ((1 << INDEX_BITS) - 1)).ok()?;
        (root != NONE).then(|| (index, unpack(root)))
    }

    /// Notes what was seen of a member. Where that is nothing new, the minima above it are left as they are.
    pub(super) fn set(&self, at: usize, leaf: Leaf) {
        let Some(cell) = self.storeys.first().and_then(|leaves| leaves.get(at)) else { return };
        let word = pack(leaf, at);
        if cell.load(Ordering::Relaxed) != word {
            cell.store(word, Ordering::Release);
            self.rise(at);
        }
    }

    /// Makes the minima above a leaf anew.
    fn rise(&self, mut at: usize) {
        let Some((mut below, above)) = self.storeys.split_first() else { return };
        for storey in above {
            let first = at / FAN * FAN;
            at /= FAN;
            let children = below.get(first..below.len().min(first + FAN)).unwrap_or_default();
            let least = children.iter().fold(NONE, |least, child| least.min(child.load(Ordering::Acquire)));
            if let Some(node) = storey.get(at) {
                node.store(least, Ordering::Release);
            }
            below = storey;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_root_is_the_least_after_any_writes(
            len in 1..700_usize,
            writes in proptest::collection::vec((0..700_usize, 0..50_u64, 0..3_u16), 0..300),
        ) {
            let minima = Minima::new(len);
            let mut model = vec![None; len];
            for (at, load, last) in writes {
                let (at, leaf) = (at % len, Leaf { load: if load == 49 { u64::MAX } else { load }, last });
                minima.set(at, leaf);
                model[at] = Some(leaf).filter(|leaf| leaf.load < u64::MAX);
                let least = model.iter().enumerate().filter_map(|(at, leaf)| Some((leaf.as_ref().copied()?, at))).min();
                prop_assert_eq!(minima.least(), least.map(|(leaf, at)| (at, leaf)));
            }
        }
    }

    #[test]
    fn a_load_beyond_the_largest_is_the_largest_and_no_member_at_all_has_none() {
        let minima = Minima::new(3);
        minima.set(2, Leaf { load: u64::MAX - 1, last: 7 });
        assert_eq!(minima.least(), Some((2, Leaf { load: MOST, last: 7 })));
        minima.set(2, Leaf { load: u64::MAX, last: 7 });
        assert_eq!((minima.least(), Minima::new(0).least(), Minima::new(0).len()), (None, None, 0));
    }

    #[test]
    fn threads_that_write_at_once_leave_a_tree_that_one_more_write_of_each_makes_right() {
        let minima = Minima::new(100);
        std::thread::scope(|threads| {
            for thread in 0..4_u64 {
                let minima = &minima;
                threads.spawn(move || {
                    for n in 0..20_000 {
                        let at = usize::try_from(crate::balance::turn::mix(n * 4 + thread) % 100).unwrap();
                        minima.set(at, Leaf { load: n % 97 + thread, last: 0 });
                    }
                });
            }
        });
        (0..100).for_each(|at| minima.set(at, Leaf { load: u64::MAX, last: 0 }));
        (0..100).for_each(|at| minima.set(at, Leaf { load: 200 - at as u64, last: 0 }));
        assert_eq!(minima.least(), Some((99, Leaf { load: 101, last: 0 })));
    }
}
