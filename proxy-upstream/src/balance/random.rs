//! Random: one is drawn, by weight.
//!
//! Without a memory, many proxies in front of the same members do not fall into step. It is less even than turns: of `n`
//! connections a member with the share `p` gets `np ± √(np)`.

use super::draw::{Choice, Serving};
use super::seen::Seen;
use super::shares::Shares;
use super::turn::{Rotation, mix, one_of};

/// One drawn at random.
pub(super) fn choose<S: Seen>(shares: &Shares, serving: &Serving<'_, S>, turn: &Rotation) -> Choice {
    serving.draw(|| drawn(shares, serving, mix(turn.next())))
}

/// The place of a slot, and another number, by one that looks random.
pub(super) fn drawn<S>(shares: &Shares, serving: &Serving<'_, S>, random: u64) -> Option<(usize, u64)> {
    let slots = serving.span.slots();
    let slot = serving.span.slot(one_of(slots, random));
    // The upper half has chosen the slot.
    (slots > 0).then(|| (shares.find(slot), random & 0xFFFF_FFFF))
}
