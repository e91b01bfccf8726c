//! What the limits of each client have refused, and whom most: off the path of all who are admitted.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::address::AddressKey;
use super::answer::{AddressRefusal, Refused};
use super::shard::Whose;

/// Clients that are told apart at once. Who is refused most is among so many unless sixteen others are refused as often.
const KNOWN: usize = 16;
/// Counts are of this turn and the one before: half a minute to a minute. In nanoseconds.
const TURN: u64 = 30_000_000_000;

/// What was refused, by the limit and by whether the client is on loopback.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    at_once: [Kind; 2],
    rate: [Kind; 2],
}

/// What was refused of one kind.
#[derive(Debug, Default)]
struct Kind {
    count: AtomicU64,
    whom: Mutex<Whom>,
}

/// Who was refused, by the space-saving algorithm (Metwally et al., 2005): whoever is new takes the place of the least.
#[derive(Debug, Default)]
struct Whom {
    turn: u64,
    now: Vec<(AddressKey, u64)>,
    before: Vec<(AddressKey, u64)>,
}

impl Refusals {
    /// One more of `key` was refused at `now`.
    #[cold]
    pub(super) fn note(&self, key: AddressKey, whose: Whose, refusal: &AddressRefusal, now: u64) {
        let place = usize::from(whose == Whose::Local);
        let kinds = match refusal {
            AddressRefusal::AtOnce { .. } => &self.at_once,
            AddressRefusal::Rate { .. } => &self.rate,
            // Which has nothing to do with the client.
            AddressRefusal::TableFull => return,
        };
        let Some(kind) = kinds.get(place) else { return };
        kind.count.fetch_add(1, Ordering::Relaxed);
        // In a storm of them one that is left out changes nothing, and nobody waits.
        if let Some(mut whom) = kind.whom.try_lock() {
            whom.turn_to(now / TURN);
            whom.add(key);
        }
    }

    /// What was refused since the start, and whom most as seen at `now`: of clients that are not on loopback, and of those that are.
    pub(super) fn view(&self, now: u64) -> [Refused; 2] {
        [0, 1].map(|place| {
            let of = |kinds: &[Kind; 2]| kinds.get(place).map(|kind| kind.view(now)).unwrap_or_default();
            let ((at_once, at_once_most), (rate, rate_most)) = (of(&self.at_once), of(&self.rate));
            Refused { at_once, at_once_most, rate, rate_most }
        })
    }
}

impl Kind {
    fn view(&self, now: u64) -> (u64, Option<(AddressKey, u64)>) {
        let mut whom = self.whom.lock();
        whom.turn_to(now / TURN);
        (self.count.load(Ordering::Relaxed), whom.most())
    }
}

impl Whom {
    fn turn_to(&mut self, turn: u64) {
        if turn > self.turn {
            let last = std::mem::take(&mut self.now);
            self.before = if turn == self.turn + 1 { last } else { Vec::new() };
            self.turn = turn;
        }
    }

    fn add(&mut self, key: AddressKey) {
        if let Some((_, count)) = self.now.iter_mut().find(|(known, _)| *known == key) {
            *count += 1;
        } else if self.now.len() < KNOWN {
            self.now.push((key, 1));
        } else if let Some(least) = self.now.iter_mut().min_by_key(|(_, count)| *count) {
            *least = (key, least.1 + 1);
        }
    }

    fn most(&self) -> Option<(AddressKey, u64)> {
        let before = |key: AddressKey| {
            self.before.iter().find(|(known, _)| *known == key).map_or(0, |(_, count)| *count)
        };
        let now = self.now.iter().map(|(key, count)| (*key, count + before(*key)));
        now.chain(self.before.iter().copied()).max_by_key(|(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn key(n: u8) -> AddressKey {
        Ipv4Addr::new(192, 0, 2, n).into()
    }

    const RATE: AddressRefusal = AddressRefusal::Rate { per_minute: 1, retry_after: Duration::ZERO };
    const AT_ONCE: AddressRefusal = AddressRefusal::AtOnce { most: 1 };

    #[test]
    fn each_limit_counts_for_itself_and_knows_whom_it_refused_most() {
        let refusals = Refusals::default();
        for n in [1, 2, 2, 3, 2] {
            refusals.note(key(n), Whose::Others, &RATE, 0);
        }
        refusals.note(key(9), Whose::Others, &AT_ONCE, 0);
        refusals.note(key(8), Whose::Local, &AT_ONCE, 0);
        refusals.note(key(8), Whose::Local, &AddressRefusal::TableFull, 0);
        let [others, local] = refusals.view(0);
        assert_eq!((others.rate, others.rate_most), (5, Some((key(2), 3))));
        assert_eq!((others.at_once, others.at_once_most), (1, Some((key(9), 1))));
        assert_eq!((local.rate, local.at_once, local.at_once_most), (0, 1, Some((key(8), 1))));
    }

    #[test]
    fn who_was_refused_long_ago_is_forgotten_and_counted() {
        let refusals = Refusals::default();
        let most = |now| refusals.view(now)[0].rate_most;
        refusals.note(key(1), Whose::Others, &RATE, TURN - 1);
        refusals.note(key(1), Whose::Others, &RATE, TURN);
        assert_eq!(most(TURN), Some((key(1), 2)));
        assert_eq!(most(2 * TURN), Some((key(1), 1)));
        assert_eq!(most(3 * TURN), None);
        assert_eq!(refusals.view(3 * TURN)[0].rate, 2);
    }

    #[test]
    fn a_thousand_clients_take_no_more_room_than_sixteen_and_hide_no_one_who_is_refused_often() {
        let mut whom = Whom::default();
        for round in 0..100_u32 {
            for n in 0..10 {
                whom.add(Ipv4Addr::from_bits(round * 10 + n).into());
            }
            whom.add(key(1));
            whom.add(key(1));
        }
        assert_eq!(whom.now.len(), KNOWN);
        assert_eq!(whom.most().map(|(who, _)| who), Some(key(1)));
    }
}
