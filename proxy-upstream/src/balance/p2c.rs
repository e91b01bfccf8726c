//! P2C, the power of two choices: the better of two that are drawn at random, by weight.
//!
//! Better is who has fewer open connections for its weight, and where that is the same, whose dials took less time lately. The
//! fullest of `n` members is then further from the mean by about `log log n`, not by `log n / log log n` as with one draw
//! (Mitzenmacher 2001), and a member that is back and empty wins every draw that it is in: with 1 000 members that is one
//! connection in 500, so nobody is overrun, and the open connections even out as others end.

use super::draw::{Choice, Serving};
use super::least::load;
use super::random::drawn;
use super::seen::Seen;
use super::shares::Shares;
use super::turn::{GOLDEN, Rotation, mix};

/// Draws for the second one, at most: it has to be another one than the first.
const OTHERS: usize = 4;

/// The better of two.
pub(super) fn choose<S: Seen>(shares: &Shares, serving: &Serving<'_, S>, turn: &Rotation) -> Choice {
    let mut random = mix(turn.next());
    let mut next = || {
        random = random.wrapping_add(GOLDEN);
        // What a member has of its weight counts in its load, so it is always taken where it is drawn.
        drawn(shares, serving, mix(random)).map(|(at, _)| (at, 0))
    };
    let one = serving.draw(&mut next);
    let takes = |at: usize| at != one.at && serving.seen.rank(at) <= serving.worst();
    let other = (0..OTHERS).find_map(|_| next().map(|(at, _)| at).filter(|at| takes(*at)));
    match other {
        Some(at) if one.sure && cost(shares, serving.seen, at) < cost(shares, serving.seen, one.at) => {
            Choice { at, sure: true }
        }
        Some(_) | None => one,
    }
}

/// What is compared: the load with one connection more, then the time.
fn cost(shares: &Shares, seen: &impl Seen, at: usize) -> (u64, u32) {
    (load(shares, seen, at, seen.open(at)), seen.latency(at))
}
