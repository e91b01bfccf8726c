//! In which order the others are tried when a dial of the first fails: found one by one, when they are asked for.
//!
//! ```text
//!  the first ─► those that serve, in the order of the list from the first on ─► those of further levels ─► backups
//!            ─► those that lag ─► up to UNLIKELY of the rest, the better first
//! ```
//! Everybody who may be used comes, and comes before those who may not; each comes once. Where everybody is out, a dial does not ask
//! thousands: it tries some of them, another dial some others.

use std::ops::Range;

use smallvec::{SmallVec, smallvec};

use crate::balance::Rank;

/// Members that may not be used that a dial tries, at most, in a group where there are more.
const UNLIKELY: usize = 16;

/// Who comes at one pass through the list: whether from those that serve only, and the worst rank.
const PASSES: [(bool, Rank); 6] = [
    (true, Rank::Usable),
    (false, Rank::Usable),
    (false, Rank::Lags),
    (false, Rank::Down),
    (false, Rank::Open),
    (false, Rank::Closed),
];

/// How far the order has been found.
#[derive(Debug)]
pub(crate) struct Order {
    serving: Range<usize>,
    pass: usize,
    /// Steps from the first in this pass.
    step: usize,
    unlikely: usize,
    found: SmallVec<[usize; 4]>,
}

impl Order {
    pub(crate) fn new(first: usize, serving: Range<usize>) -> Self {
        Self { serving, pass: 0, step: 0, unlikely: 0, found: smallvec![first] }
    }

    /// The place of the `nth`, if it was found.
    pub(crate) fn nth(&self, nth: usize) -> Option<usize> {
        self.found.get(nth).copied()
    }

    /// The place of the `nth`, which may be the next one of `len`; None where there is none. `rank` says what is known of a place
    /// now.
    pub(crate) fn next(
        &mut self,
        nth: usize,
        len: usize,
        rank: impl Fn(usize) -> Option<Rank>,
    ) -> Option<usize> {
        if nth < self.found.len() {
            return self.nth(nth);
        }
        while let Some((only_serving, worst)) = PASSES.get(self.pass) {
            while self.step < len && (*worst < Rank::Down || self.unlikely < UNLIKELY) {
                let at = self.found.first().map_or(0, |first| (first + self.step) % len);
                self.step += 1;
                let may_come = !*only_serving || self.serving.contains(&at);
                if may_come && rank(at).is_some_and(|rank| rank <= *worst) && !self.found.contains(&at) {
                    self.unlikely += usize::from(*worst >= Rank::Down);
                    self.found.push(at);
                    return Some(at);
                }
            }
            (self.pass, self.step) = (self.pass + 1, 0);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(first: usize, serving: Range<usize>, ranks: &[Rank]) -> Vec<usize> {
        let mut order = Order::new(first, serving);
        let all = (0..).map_while(|nth| order.next(nth, ranks.len(), |at| ranks.get(at).copied()));
        all.collect()
    }

    #[test]
    fn those_that_serve_come_first_then_others_then_those_that_lag_and_those_that_are_out_last() {
        use Rank::{Closed, Down, Lags, Open, Usable};
        assert_eq!(order(1, 0..3, &[Usable; 5]), [1, 2, 0, 3, 4]);
        assert_eq!(
            order(2, 0..4, &[Lags, Down, Usable, Usable, Usable, Open, Closed]),
            [2, 3, 4, 0, 1, 5, 6]
        );
        assert_eq!(order(0, 0..1, &[Open]), [0]);
    }

    proptest! {
        #[test]
        fn each_comes_once_and_nobody_who_may_be_used_after_one_who_may_not(
            ranks in proptest::collection::vec(0..5_usize, 1..80), first: proptest::sample::Index, few: bool,
        ) {
            let ranks: Vec<_> = ranks.into_iter().map(|n| Rank::ALL[n]).collect();
            let (first, serving) = (first.index(ranks.len()), if few { 0..ranks.len() / 2 } else { 0..ranks.len() });
            let order = order(first, serving, &ranks);
            let mut once = order.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), order.len());
            let better = order[1..].iter().map(|at| ranks[*at].max(Rank::Lags)).collect::<Vec<_>>();
            prop_assert!(better.is_sorted(), "{:?}", better);
            let usable = |at: &usize| ranks[*at] <= Rank::Lags;
            prop_assert!((0..ranks.len()).filter(usable).all(|at| order.contains(&at)), "nobody is left out");
            let unlikely = order[1..].iter().filter(|at| !usable(at)).count();
            prop_assert!(unlikely <= UNLIKELY);
        }
    }
}
