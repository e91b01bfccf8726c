//! First: the first of the list that may be used.
//!
//! For members of which one serves and the others stand by, in their order. Weights do not matter, but for 0, which is none; the
//! share of a member that comes back slowly does.

use super::draw::{Choice, Serving};
use super::seen::Seen;
use super::turn::{Rotation, mix};

/// The first one.
pub(super) fn choose<S: Seen>(serving: &Serving<'_, S>, turn: &Rotation) -> Choice {
    let (span, luck) = (serving.span, mix(turn.next()));
    let first = (span.from..span.to).find(|at| serving.takes(*at, luck));
    first.map_or_else(|| serving.walk(span.from, |_| true), |at| Choice { at, sure: true })
}
