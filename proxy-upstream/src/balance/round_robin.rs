//! Round robin, weighted and smooth: each in its turn.
//!
//! All weights are laid end to end, and the turns go through these slots in steps of one stride that has no divisor in common with
//! their number: each slot comes once in a round, so each member exactly as often as its weight says. The stride is one
//! near the golden ratio, so the slots of one member are spread as evenly as can be at any moment: with weights 4 and 3 the
//! turns are `abababa`. Members of equal weight take turns in their order. (nginx's smooth weighted round robin is as even, and
//! changes every member's counter under a lock.)
//!
//! A turn that falls on a member that may not be used goes to the next turn, not to the next in the list, which would get a
//! double share.

use super::draw::{Choice, Serving};
use super::seen::Seen;
use super::shares::Shares;
use super::turn::{Rotation, mix};

/// The one whose turn it is.
pub(super) fn choose<S: Seen>(shares: &Shares, serving: &Serving<'_, S>, turn: &Rotation) -> Choice {
    let mut first = None;
    let choice = serving.draw(|| {
        let turn = turn.next();
        first.get_or_insert(turn);
        Some((shares.find(serving.span.at_turn(turn)?), mix(turn)))
    });
    match first {
        Some(_) if serving.span.slots() > 0 => choice,
        // Nobody has weight: they take turns all the same.
        first => {
            let places = (serving.span.to - serving.span.from).max(1) as u64;
            let off = usize::try_from(first.unwrap_or(0) % places).unwrap_or(0);
            serving.walk(serving.span.from + off, |_| true)
        }
    }
}
