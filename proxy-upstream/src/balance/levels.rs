//! Which levels serve: those of the lowest number, the next where too few of those may be used, backups where nobody else may.
//!
//! The rule, in order, with *usable* for members of the ranks [`Usable`](Rank::Usable) and [`Lags`](Rank::Lags), and all shares by
//! weight:
//!
//! 1. Levels are looked at from the lowest number on. The first of which at least `panic_threshold` percent is usable, and somebody,
//!    is the last that serves: connections go to the usable members of it and of all levels below it.
//! 2. Where no level is so well but somebody is usable, all members that are no backups serve, whatever is known of them (panic).
//! 3. Where nobody is usable, the usable backups serve.
//! 4. Where none of those is usable either, all members that are no backups serve, whatever is known of them (panic).
//!
//! With a threshold of 0 the second case does not arise: a level serves alone while one of it is usable.

use smallvec::SmallVec;

use super::seen::{Rank, Seen};
use super::shares::Shares;

/// Places of the plan that stand together, and a way through their slots that meets each once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    start: u32,
    /// What all weights in it are multiples of.
    unit: u32,
    /// Its slots, in that unit; 0 where nobody in it has weight.
    units: u32,
    /// In the same unit. Invariant: it has no divisor in common with `units`.
    stride: u32,
}

impl Span {
    pub(super) fn new(shares: &Shares, from: usize, to: usize) -> Self {
        let start = shares.before(from);
        let total = shares.before(to) - start;
        let weights = || (from..to).map(|at| shares.weight(at)).filter(|weight| *weight > 0);
        let unit = weights().fold(0, gcd).max(1);
        let units = total / unit;
        // Of equal weights each has one unit: they take turns in their order.
        let equal = weights().all(|weight| weight == unit);
        Self { from, to, start, unit, units, stride: if equal { 1 } else { golden_stride(units) } }
    }

    /// The slot of this turn: `units` turns meet each member as often as its weight says, evenly mixed.
    pub(super) fn at_turn(&self, turn: u64) -> Option<u32> {
        let turn = turn.checked_rem(self.units.into())?;
        let unit = turn * u64::from(self.stride) % u64::from(self.units);
        Some(self.start + u32::try_from(unit).unwrap_or(0) * self.unit)
    }

    /// Its slots.
    pub(super) const fn slots(&self) -> u32 {
        self.units * self.unit
    }

    /// The slot that is so far from its first.
    pub(super) const fn slot(&self, nth: u32) -> u32 {
        self.start + nth
    }

    /// Its places, beginning with `first` and round to the one before.
    pub(super) fn ring(&self, first: usize) -> impl Iterator<Item = usize> {
        let first = if (self.from..self.to).contains(&first) { first } else { self.from };
        (first..self.to).chain(self.from..first)
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Candidates for a stride on each side of the golden ratio.
const NEAR: u32 = 64;

/// A stride without a divisor in common with `units` whose multiples are spread evenly at every length. That is so the more the smaller
/// the partial quotients of stride / units as a continued fraction are, and those of the golden ratio are the smallest (Niederreiter
/// 1992, section 3.1): so the best of those near it is taken.
fn golden_stride(units: u32) -> u32 {
    // 2³² divided by the golden ratio.
    let near = (u64::from(units) * 2_654_435_769 + (1 << 31)) >> 32;
    let near = u32::try_from(near).unwrap_or(1);
    let strides = (0..=NEAR).flat_map(|off| [near.saturating_add(off), near.saturating_sub(off)]);
    let fitting = strides.filter(|stride| (1..units.max(2)).contains(stride) && gcd(*stride, units) == 1);
    // Of those that are as good, the nearest; among twice as many numbers as there are small primes in a row one fits.
    fitting.min_by_key(|stride| unevenness(*stride, units)).unwrap_or(1)
}

/// The sum of the partial quotients of a fraction.
const fn unevenness(of: u32, units: u32) -> u32 {
    let (mut a, mut b, mut sum) = (units, of, 0_u32);
    while b != 0 {
        sum = sum.saturating_add(a / b);
        (a, b) = (b, a % b);
    }
    sum
}

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The usable members of the levels up to this one, by its place among those that there are.
    Levels(u8),
    /// The usable backups.
    Backups,
    /// All that are no backups, whatever is known of them.
    Panic,
}

impl Way {
    /// A small number for it, from which [`of`](Self::of) makes it again.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Levels(last) => last as u16,
            Self::Backups => 0x100,
            Self::Panic => 0x101,
        }
    }

    /// The one of that number.
    #[must_use]
    pub fn of(code: u16) -> Self {
        match u8::try_from(code) {
            Ok(last) => Self::Levels(last),
            Err(_) if code == Self::Backups.code() => Self::Backups,
            Err(_) => Self::Panic,
        }
    }
}

/// Who serves, and how much there is of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Who serves.
    pub way: Way,
    /// The weight of those.
    pub weight: u64,
    /// Their open connections, where they are counted.
    pub open: u64,
}

/// The levels of a plan: places are in the order of levels, backups last.
#[derive(Debug)]
pub(super) struct Levels {
    /// For each level, its own span and that of all up to it.
    levels: SmallVec<[(Span, Span); 1]>,
    backups: Option<Span>,
    whole: Span,
}

/// What a level amounts to.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    weight: u64,
    usable: u64,
    /// Of the usable, those that do not lag.
    well: u64,
    open: u64,
}

impl Tally {
    fn of(seen: &impl Seen, shares: &Shares, span: &Span, counts_open: bool) -> Self {
        let mut tally = Self { weight: u64::from(span.slots()), ..Self::default() };
        for at in span.from..span.to {
            let rank = seen.rank(at);
            if rank <= Rank::Lags {
                let weight = u64::from(shares.weight(at));
                tally.usable += weight;
                tally.open += if counts_open { seen.open(at) } else { 0 };
                tally.well += if rank == Rank::Usable { weight } else { 0 };
            }
        }
        tally
    }

    fn suffices(&self, threshold: u32) -> bool {
        self.usable > 0 && self.usable * 100 >= self.weight * u64::from(threshold)
    }

    fn with(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            usable: self.usable + other.usable,
            well: self.well + other.well,
            open: self.open + other.open,
        }
    }
}

impl Levels {
    /// `ends`: for each level that there is, the place after its last; `plain`: the place of the first backup.
    pub(super) fn new(shares: &Shares, ends: &[usize], plain: usize) -> Self {
        let mut from = 0;
        let levels = ends
            .iter()
            .map(|end| {
                let own = Span::new(shares, from, *end);
                from = *end;
                (own, Span::new(shares, 0, *end))
            })
            .collect();
        let backups = (plain < shares.len()).then(|| Span::new(shares, plain, shares.len()));
        Self { levels, backups, whole: Span::new(shares, 0, shares.len()) }
    }

    /// Who serves: the rule of this module.
    pub(super) fn look(
        &self,
        seen: &impl Seen,
        shares: &Shares,
        (threshold, counts_open): (u32, bool),
    ) -> Sight {
        let (mut all, mut serving) = (Tally::default(), None);
        for (own, place) in self.levels.iter().map(|(own, _)| own).zip(0_u8..) {
            let tally = Tally::of(seen, shares, own, counts_open);
            all = all.with(tally);
            if serving.is_none() && tally.suffices(threshold) {
                serving = Some((place, all));
            }
            // Where all that serve lag, the next level is asked, too.
            if serving.is_some() && all.well > 0 {
                return Sight { way: Way::Levels(place), weight: all.usable, open: all.open };
            }
        }
        if let Some((place, tally)) = serving {
            return Sight { way: Way::Levels(place), weight: tally.usable, open: tally.open };
        }
        let backups = self.backups.filter(|_| all.usable == 0);
        let backups = backups.map(|span| Tally::of(seen, shares, &span, counts_open)).unwrap_or_default();
        if backups.usable > 0 {
            return Sight { way: Way::Backups, weight: backups.usable, open: backups.open };
        }
        let span = self.span(Way::Panic);
        let open = (span.from..span.to).filter(|_| counts_open).map(|at| seen.open(at)).sum();
        Sight { way: Way::Panic, weight: span.slots().into(), open }
    }

    /// The places of those that serve.
    pub(super) fn span(&self, way: Way) -> &Span {
        let last = self.levels.last().map(|(_, set)| set);
        let found = match way {
            Way::Levels(place) => self.levels.get(usize::from(place)).map(|(_, set)| set),
            Way::Backups => self.backups.as_ref(),
            Way::Panic => last.or(self.backups.as_ref()),
        };
        found.unwrap_or(&self.whole)
    }

    /// The levels, each by itself, and the backups as the last.
    pub(super) fn each(&self) -> impl Iterator<Item = &Span> {
        self.levels.iter().map(|(own, _)| own).chain(&self.backups)
    }

    /// Which of [`each`](Self::each) serve.
    pub(super) fn serving(&self, way: Way) -> std::ops::Range<usize> {
        let levels = self.levels.len();
        match way {
            Way::Levels(place) => 0..usize::from(place) + 1,
            Way::Backups => levels..levels + 1,
            Way::Panic => 0..levels.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(weights: &[u32]) -> (Shares, Span) {
        let shares = Shares::new(weights.iter().copied());
        let span = Span::new(&shares, 0, weights.len());
        (shares, span)
    }

    fn turns(weights: &[u32], count: u64) -> String {
        let (shares, span) = span(weights);
        let whose = |turn| shares.find(span.at_turn(turn).unwrap());
        (0..count).map(|turn| ['a', 'b', 'c', 'd'][whose(turn)]).collect()
    }

    #[test]
    fn weights_are_mixed_and_equals_take_turns_in_their_order() {
        assert_eq!(turns(&[1, 1, 1], 6), "abcabc");
        assert_eq!(turns(&[100, 100], 4), "abab");
        assert_eq!(turns(&[2, 1], 6), "abaaba");
        assert_eq!(turns(&[5, 1, 1], 7), "aaabaca");
        assert_eq!(turns(&[4, 3], 7), "abababa");
        assert_eq!(turns(&[0, 3, 0, 3], 4), "bdbd");
        assert!(span(&[0, 0]).1.at_turn(7).is_none());
    }

    #[test]
    fn the_way_survives_its_code() {
        for way in [Way::Levels(0), Way::Levels(255), Way::Backups, Way::Panic] {
            assert_eq!(Way::of(way.code()), way);
        }
    }

    proptest! {
        /// Exactly by weight over a whole round, and at no moment further from that than by some connections.
        #[test]
        fn a_round_is_exact_and_smooth_all_the_time(weights in proptest::collection::vec(0..=256_u32, 1..40)) {
            let (shares, span) = span(&weights);
            prop_assume!(span.slots() > 0);
            let (mut counts, total) = (vec![0_u32; weights.len()], f64::from(span.slots()));
            for turn in 0..u64::from(span.units) {
                counts[shares.find(span.at_turn(turn).unwrap())] += 1;
                for (count, weight) in counts.iter().zip(&weights) {
                    let due = (turn + 1) as f64 * f64::from(*weight) / total;
                    prop_assert!((f64::from(*count) - due).abs() < 4.0, "{} of {due} after {turn}", count);
                }
            }
            prop_assert!(counts.iter().zip(&weights).all(|(count, weight)| count * span.unit == *weight));
        }
    }
}
