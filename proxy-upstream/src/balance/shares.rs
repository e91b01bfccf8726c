//! Weights laid end to end: a number below their sum is a slot, and each slot is somebody's.
//!
//! ```text
//!  weights   3      1  2        ends    3  4  6
//!  slots     0 1 2  3  4 5      guide   the first place of each stretch of slots, so that nobody searches
//! ```

/// The weights of members, by place.
///
/// Invariant: `ends` never falls; a place whose weight is 0 has no slot.
#[derive(Debug)]
pub(super) struct Shares {
    ends: Box<[u32]>,
    /// For each stretch of 2^`shift` slots, the place of its first one.
    guide: Box<[u32]>,
    shift: u32,
}

impl Shares {
    pub(super) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let mut total = 0_u32;
        let ends: Box<[u32]> = weights
            .map(|weight| {
                total = total.saturating_add(weight);
                total
            })
            .collect();
        let members = u32::try_from(ends.len()).unwrap_or(u32::MAX).max(1);
        // About as many stretches as members, so that a search from the first of one is a step or two.
        let shift = (total / members).max(1).ilog2();
        let mut at = 0;
        let guide = (0..=total >> shift)
            .map(|stretch| {
                while ends.get(at).is_some_and(|end| *end <= stretch << shift) {
                    at += 1;
                }
                u32::try_from(at).unwrap_or(u32::MAX)
            })
            .collect();
        Self { ends, guide, shift }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The first slot that is not of a place before this one.
    pub(super) fn before(&self, at: usize) -> u32 {
        at.checked_sub(1)
            .and_then(|before| self.ends.get(before.min(self.ends.len() - 1)))
            .map_or(0, |end| *end)
    }

    pub(super) fn weight(&self, at: usize) -> u32 {
        self.ends.get(at).map_or(0, |end| end - self.before(at))
    }

    /// Whose slot that is; the last place for a slot that there is not.
    pub(super) fn find(&self, slot: u32) -> usize {
        let first = self.guide.get((slot >> self.shift) as usize).map_or(0, |first| *first as usize);
        let rest = self.ends.get(first..).unwrap_or_default();
        let steps = rest.iter().take_while(|end| **end <= slot).count();
        (first + steps).min(self.ends.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slot_is_somebodys() {
        let shares = Shares::new([3, 0, 1, 2].into_iter());
        assert_eq!((0..6).map(|slot| shares.find(slot)).collect::<Vec<_>>(), [0, 0, 0, 2, 3, 3]);
        assert_eq!((0..5).map(|at| shares.weight(at)).collect::<Vec<_>>(), [3, 0, 1, 2, 0]);
        assert_eq!((0..5).map(|at| shares.before(at)).collect::<Vec<_>>(), [0, 3, 3, 4, 6]);
        assert_eq!((Shares::new([].into_iter()).find(0), Shares::new([0].into_iter()).find(7)), (0, 0));
    }

    proptest! {
        #[test]
        fn everybody_has_as_many_slots_as_weight(weights in proptest::collection::vec(0..=256_u32, 1..200)) {
            let shares = Shares::new(weights.iter().copied());
            let mut slots = vec![0; weights.len()];
            (0..weights.iter().sum()).for_each(|slot| slots[shares.find(slot)] += 1);
            prop_assert_eq!(slots, weights);
        }
    }
}
