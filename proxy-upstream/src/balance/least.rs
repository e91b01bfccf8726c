//! Least connections: the member with the fewest open ones for its weight.
//!
//! Where there are [`FEW`](super::FEW), all of them are looked at. Where there are more, what was last seen of each stands in a
//! tree of minima whose root is the least, and the choice is exact but for what it has not seen yet:
//!
//! - a connection more is seen at once: who chooses a member notes it with one more;
//! - a connection less, and a member that may be used again, is seen by sweeping: each choice looks at the next [`SWEEP`] members, so
//!   that all of `n` are looked at within `n / SWEEP` choices;
//! - a member that has become worse is seen when it is the least: it is looked at again before it is taken.
//!
//! So a member is never taken while one that was seen has less, and one that has become emptier is seen after 500 choices of
//! 1 000 members, when it has fallen behind by half a connection. Those with the same load take turns.

mod tree;

use smallvec::SmallVec;

use super::draw::{Choice, Serving};
use super::seen::Seen;
use super::shares::Shares;
use super::turn::Rotation;

use tree::{Leaf, Minima};

/// Members that each choice looks at, beside the one that it takes.
pub const SWEEP: u64 = 2;

/// Looks at who is the least, at most: somebody else has taken it meanwhile, or it may not be used any more.
const LOOKS: usize = 8;

/// Connections of a member at its whole weight that amount to a load of one: 256 is the largest weight, and 100 a whole share.
const WHOLE: u64 = 256 * 100;

/// The load of a member with `open` connections, once it has one more: the same for those that are equally full for their weight.
pub(super) fn load(shares: &Shares, seen: &impl Seen, at: usize, open: u64) -> u64 {
    let weight = u64::from(shares.weight(at)) * u64::from(seen.share(at));
    (open + 1).saturating_mul(WHOLE).checked_div(weight).unwrap_or(u64::MAX)
}

/// The least of a few: all are looked at. Those that are equal take turns.
pub(super) fn of_few<S: Seen>(shares: &Shares, serving: &Serving<'_, S>, turn: &Rotation) -> Choice {
    let (span, seen) = (serving.span, serving.seen);
    let places = (span.to - span.from).max(1) as u64;
    let first = span.from + usize::try_from(turn.next() % places).unwrap_or(0);
    let serves = |at: &usize| seen.rank(*at) <= serving.worst() && shares.weight(*at) > 0;
    let least = span.ring(first).filter(serves).min_by_key(|at| load(shares, seen, *at, seen.open(*at)));
    least.map_or_else(|| serving.walk(first, |_| true), |at| Choice { at, sure: true })
}

/// What was last seen of the members of one level.
#[derive(Debug)]
pub(super) struct Least {
    from: usize,
    minima: Minima,
}

impl Least {
    pub(super) fn new(from: usize, to: usize) -> Self {
        Self { from, minima: Minima::new(to - from) }
    }

    /// Looks at the next members; how often all were looked at before.
    fn sweep<S: Seen>(&self, shares: &Shares, serving: &Serving<'_, S>, turn: u64) -> u16 {
        let len = self.minima.len().max(1) as u64;
        let swept = turn.wrapping_mul(SWEEP);
        let (sweeps, mut next) = (round(swept / len), swept % len);
        for _ in 0..SWEEP {
            self.look(shares, serving, usize::try_from(next).unwrap_or(0), sweeps);
            next = if next + 1 < len { next + 1 } else { 0 };
        }
        sweeps
    }

    /// Looks at one.
    fn look<S: Seen>(&self, shares: &Shares, serving: &Serving<'_, S>, at: usize, sweeps: u16) -> Leaf {
        // Later than now is of before the number of sweeps began anew.
        let last = self.minima.leaf(at).last.min(sweeps.saturating_add(1));
        let seen = Leaf { load: self.load(shares, serving, at), last };
        self.minima.set(at, seen);
        seen
    }

    fn load<S: Seen>(&self, shares: &Shares, serving: &Serving<'_, S>, at: usize) -> u64 {
        let (place, seen) = (self.from + at, serving.seen);
        let serves = seen.rank(place) <= serving.worst();
        if serves { load(shares, seen, place, seen.open(place)) } else { u64::MAX }
    }
}

/// As much of a number of sweeps as a leaf has room for.
fn round(sweeps: u64) -> u16 {
    u16::try_from(sweeps & 0xFFFF).unwrap_or(0)
}

/// The least of what was last seen in the levels that serve.
pub(super) fn of_many<S: Seen>(
    shares: &Shares,
    levels: &[Least],
    serving: &Serving<'_, S>,
    turn: &Rotation,
) -> Choice {
    let turn = turn.next();
    let sweeps: SmallVec<[u16; 4]> = levels.iter().map(|level| level.sweep(shares, serving, turn)).collect();
    let least = |_| {
        let known = levels
            .iter()
            .zip(&sweeps)
            .filter_map(|(level, sweeps)| Some((level, *sweeps, level.minima.least()?)));
        known.min_by_key(|(_, _, (_, leaf))| *leaf)
    };
    for (level, sweeps, (at, known)) in (0..LOOKS).map_while(least) {
        let place = level.from + at;
        let now = level.load(shares, serving, at);
        if now > known.load {
            level.minima.set(at, Leaf { load: now, ..known });
            continue;
        }
        let load = load(shares, serving.seen, place, serving.seen.open(place) + 1);
        level.minima.set(at, Leaf { load, last: sweeps.saturating_add(1) });
        return Choice { at: place, sure: true };
    }
    all_anew(shares, levels, serving)
}

/// Nobody was found: all are looked at, and the best is taken.
#[cold]
fn all_anew<S: Seen>(shares: &Shares, levels: &[Least], serving: &Serving<'_, S>) -> Choice {
    let mut best: Option<(Leaf, usize)> = None;
    for level in levels {
        for at in 0..level.minima.len() {
            let leaf = level.look(shares, serving, at, u16::MAX);
            let better = leaf.load < u64::MAX && best.is_none_or(|(best, _)| leaf < best);
            best = if better { Some((leaf, level.from + at)) } else { best };
        }
    }
    match best {
        Some((_, at)) => Choice { at, sure: true },
        None => serving.walk(serving.span.from, |_| true),
    }
}
