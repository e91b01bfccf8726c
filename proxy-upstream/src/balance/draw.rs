//! A draw: slots are drawn until one falls on a member that may be used.

use super::levels::Span;
use super::seen::{Rank, Seen};

/// Draws at one choice, at most. Where half of all members are down, one choice in 65 536 needs more.
pub const DRAWS: usize = 16;

/// A member that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the plan.
    pub at: usize,
    /// Whether it may be used as those that serve may. If not, nobody was found who may: who serves is to be looked at again.
    pub sure: bool,
}

/// Those that serve at one choice.
#[derive(Debug)]
pub(super) struct Serving<'p, S> {
    pub(super) span: &'p Span,
    pub(super) seen: &'p S,
    /// Whether they serve whatever is known of them.
    pub(super) panic: bool,
}

impl<S: Seen> Serving<'_, S> {
    /// The worst rank of those that serve.
    pub(super) const fn worst(&self) -> Rank {
        if self.panic { Rank::Down } else { Rank::Usable }
    }

    /// Whether this one serves; one that has not its whole weight at present does so for its share of numbers that look random.
    pub(super) fn takes(&self, at: usize, luck: u64) -> bool {
        if self.seen.rank(at) > self.worst() {
            return false;
        }
        let share = self.seen.share(at);
        self.panic || share >= 100 || luck % 100 < u64::from(share)
    }

    /// The first one drawn that serves. `draw` gives a place and what decides whether a part of its weight is enough; None where
    /// nobody has weight.
    pub(super) fn draw(&self, mut draw: impl FnMut() -> Option<(usize, u64)>) -> Choice {
        let mut last = self.span.from;
        for _ in 0..DRAWS {
            let Some((at, luck)) = draw() else { break };
            if self.takes(at, luck) {
                return Choice { at, sure: true };
            }
            last = at;
        }
        self.walk(last, |_| true)
    }

    /// The first of the best rank, from this place on and round. Of those that serve one that fits comes before all that do not; who
    /// does not serve comes by its rank, whether it fits or not.
    #[cold]
    pub(super) fn walk(&self, first: usize, fits: impl Fn(usize) -> bool) -> Choice {
        let key = |at: &usize| {
            let rank = self.seen.rank(*at);
            (rank.max(self.worst()), !fits(*at), rank)
        };
        // The first of those that are equal.
        let at = self.span.ring(first).min_by_key(key).unwrap_or(first);
        Choice { at, sure: self.seen.rank(at) <= self.worst() }
    }
}
