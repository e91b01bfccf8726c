//! Hash: always the same member for the same key, in every process that has the same members.
//!
//! A Maglev table says whose a key is (Eisenbud and others, NSDI 2016). It is made of the members' names and
//! weights alone, not of their health, their order or their number of connections. So
//!
//! - a member that goes down moves its own keys and no others, to the members that further hashes of the same key name, evenly; they
//!   are back with it when it is;
//! - one that comes back slowly has a fixed part of its keys, which grows;
//! - a member that a configuration adds or removes moves its own keys, and beside them up to one in a hundred of all, whose slots the
//!   table fills differently (`proxy-upstream/tests/balance/hash_moves_few.rs` has the numbers).
//!
//! *Bounded load* (Mirrokni and others, 2018): nobody is given more than 1.25 times its share of all that is open, rounded up. A key whose
//! member is full goes to that of its next hash.
//!
//! Where several levels serve, since too few of the first may be used, a key stays where it was in the first level while its member
//! there may be used, and is moved to the next level otherwise, so that what is left of the first is not overrun.

mod maglev;

use super::draw::{Choice, DRAWS, Serving};
use super::levels::Sight;
use super::seen::Seen;
use super::shares::Shares;
use super::turn::{GOLDEN, mix};

pub(super) use maglev::Table;

/// The bound of the load, in quarters: 1.25, of Google's and Vimeo's (HAProxy's `hash-balance-factor` recommends 125 to 150).
const QUARTERS: u64 = 5;

/// The member of this key, and else that of its next hash. `tables`: those of the levels that serve.
pub(super) fn choose<S: Seen>(
    shares: &Shares,
    tables: &[Table],
    (serving, sight): (&Serving<'_, S>, &Sight),
    key: u64,
) -> Choice {
    let fits = |at: usize| is_within(shares, serving.seen, sight, at);
    let mut last = serving.span.from;
    for (nth, table) in tables.iter().enumerate() {
        // In a level of which too few may be used, those of the others are not given to the rest of it.
        let hashes = if nth + 1 == tables.len() { DRAWS } else { 1 };
        for nth in 0..hashes as u64 {
            let Some(at) = table.of(mix(key.wrapping_add(GOLDEN.wrapping_mul(nth)))) else { break };
            last = at;
            if serving.takes(at, mix(key ^ at as u64)) && fits(at) {
                return Choice { at, sure: true };
            }
        }
    }
    serving.walk(last, fits)
}

/// Whether a member with one connection more has no more than its bound: of all that is open and this one, its share by weight.
fn is_within(shares: &Shares, seen: &impl Seen, sight: &Sight, at: usize) -> bool {
    let all = (sight.open + 1).saturating_mul(QUARTERS).saturating_mul(shares.weight(at).into());
    let most = all.div_ceil(sight.weight.max(1) * 4);
    seen.open(at) < most
}
