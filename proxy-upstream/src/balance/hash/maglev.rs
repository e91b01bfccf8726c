//! Maglev's table: a prime number of slots, each a member's, filled in turns.
//!
//! Every member has a permutation of all slots that follows from its name. In turns, as often as its weight says, each takes the
//! first slot of its permutation that is free. So each gets its share to one slot, and a member that is gone leaves most slots
//! of the others as they were.

use crate::balance::turn::mix;

/// Slots for each member, up to [`USUAL`] in all: the more there are, the fewer slots change hands with a member that comes or goes.
const OF_FEW: usize = 2_048;

/// Slots of a table of more than a few members: Envoy's default, but for a prime that is nearer to the power of two. Two bytes each.
const USUAL: usize = 65_521;

/// Slots for each of very many members: its share is then right to a twelfth, and they take 24 bytes or a little more.
const OF_MANY: usize = 12;

/// The sizes of tables: the largest primes below powers of two, each about twice the one before.
const PRIMES: [usize; 15] = [
    2_039, 4_093, 8_191, 16_381, 32_749, 65_521, 131_071, 262_139, 524_287, 1_048_573, 2_097_143, 4_194_301,
    8_388_593, 16_777_213, 33_554_393,
];

/// The size of the table of so many members.
fn size(members: usize) -> usize {
    let wanted = members.saturating_mul(OF_FEW).min(USUAL.max(members.saturating_mul(OF_MANY)));
    let largest = PRIMES.last().copied().unwrap_or(1);
    // A little less than the power of two does, too.
    PRIMES.iter().find(|prime| **prime + **prime / 64 >= wanted).copied().unwrap_or(largest)
}

/// A slot that nobody has taken yet.
const FREE: u32 = u32::MAX;

/// Members by slot, two bytes each where that is enough: a group of ten thousand has half a million slots.
#[derive(Debug)]
enum Slots {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

/// A table of the members in a stretch of places.
#[derive(Debug)]
pub(in crate::balance) struct Table {
    from: usize,
    slots: Slots,
}

/// A member that takes slots.
struct Taker {
    /// Its place in the stretch.
    at: u32,
    weight: u64,
    /// What it is told apart by.
    id: u64,
    /// The slot that is next in its permutation.
    next: usize,
    /// From one slot of it to the next.
    skip: usize,
    taken: u64,
}

impl Table {
    /// The table of members in the places from `from` on: each with its weight, and with a number that its name alone decides.
    pub(in crate::balance) fn new(from: usize, members: impl Iterator<Item = (u32, u64)>) -> Self {
        let mut takers: Vec<_> = members
            .zip(0_u32..)
            .filter(|((weight, _), _)| *weight > 0)
            .map(|((weight, id), at)| Taker { at, weight: weight.into(), id, next: 0, skip: 0, taken: 0 })
            .collect();
        // Whatever order they are written in.
        takers.sort_by_key(|taker| (taker.id, taker.at));
        let size = size(takers.len());
        for taker in &mut takers {
            (taker.next, taker.skip) = (below(size, mix(taker.id)), 1 + below(size - 1, mix(!taker.id)));
        }
        let slots = if takers.is_empty() { Vec::new() } else { filled(&mut takers, size) };
        let narrow: Result<Box<[u16]>, _> = slots.iter().map(|at| u16::try_from(*at)).collect();
        let slots = narrow.map_or_else(|_| Slots::Wide(slots.into()), Slots::Narrow);
        Self { from, slots }
    }

    /// Whose slot a hash falls on; None where nobody has weight.
    pub(in crate::balance) fn of(&self, hash: u64) -> Option<usize> {
        let at = match &self.slots {
            Slots::Narrow(slots) => usize::from(*slots.get(below(slots.len(), hash))?),
            Slots::Wide(slots) => *slots.get(below(slots.len(), hash))? as usize,
        };
        Some(self.from + at)
    }
}

/// A number below `size`, evenly, by one that looks random.
fn below(size: usize, random: u64) -> usize {
    let scaled = (u128::from(random) * size as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

fn filled(takers: &mut [Taker], size: usize) -> Vec<u32> {
    let heaviest = takers.iter().map(|taker| taker.weight).max().unwrap_or(1);
    let mut slots = vec![FREE; size];
    let mut free = size;
    for round in 1.. {
        for taker in &mut *takers {
            if taker.taken * heaviest >= round * taker.weight {
                continue;
            }
            if free == 0 {
                return slots;
            }
            taker.take(&mut slots);
            free -= 1;
        }
    }
    slots
}

impl Taker {
    /// Takes the first free slot of its permutation. There is one.
    fn take(&mut self, slots: &mut [u32]) {
        let size = slots.len();
        let steps = std::iter::from_fn(|| {
            let slot = self.next;
            self.next = (slot + self.skip) % size;
            Some(slot)
        });
        let found = steps.take(size).find(|slot| slots.get(*slot) == Some(&FREE));
        if let Some(slot) = found.and_then(|slot| slots.get_mut(slot)) {
            *slot = self.at;
        }
        self.taken += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(table: &Table, members: usize) -> Vec<usize> {
        let mut counts = vec![0; members];
        let Slots::Narrow(slots) = &table.slots else { panic!("few members") };
        slots.iter().for_each(|at| counts[usize::from(*at)] += 1);
        counts
    }

    #[test]
    fn each_has_its_share_to_one_slot_and_nobody_without_weight_has_any() {
        let equal = shares(&Table::new(0, (0..7).map(|id| (1, id))), 7);
        assert!(equal.iter().all(|count| (2340..=2341).contains(count)), "{equal:?}");
        let weighed = shares(&Table::new(0, [(256, 5), (1, 6), (0, 7), (128, 8)].into_iter()), 4);
        assert!(weighed[0].abs_diff(8191 * 256 / 385) <= 1 && weighed[1].abs_diff(21) <= 1, "{weighed:?}");
        assert_eq!((weighed[2], weighed.iter().sum::<usize>()), (0, 8191));
        assert_eq!([1, 2, 32, 2000, 10_000].map(size), [2039, 4093, 65_521, 65_521, 131_071]);
    }

    #[test]
    fn the_order_in_which_members_are_written_does_not_matter() {
        let ids = [3, 9, 27, 81];
        let one = Table::new(0, ids.iter().map(|id| (1, *id)));
        let other = Table::new(0, ids.iter().rev().map(|id| (1, *id)));
        for hash in (0..1000).map(mix) {
            assert_eq!(one.of(hash).map(|at| ids[at]), other.of(hash).map(|at| ids[3 - at]));
        }
    }

    #[test]
    fn places_begin_where_the_stretch_does_and_nobody_is_nobody() {
        assert_eq!(Table::new(40, [(1, 1)].into_iter()).of(u64::MAX), Some(40));
        assert_eq!(Table::new(40, [(0, 1)].into_iter()).of(7), None);
    }
}
