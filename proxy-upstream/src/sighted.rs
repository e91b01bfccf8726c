//! Who serves, remembered for a moment where there are many members.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::balance::{Rotation, Sight, Way};

/// For how long what was seen holds: so much for each member, and no longer than a tenth of a second. To look at a member takes some
/// nanoseconds, so this costs a thousandth of a core at most.
const FOR_EACH: Duration = Duration::from_micros(10);
const LONGEST: Duration = Duration::from_millis(100);

/// The clock is read at every so manieth choice: that takes as long as the choice itself.
const CHOICES: u64 = 16;

/// Bits of a [`Way`]'s code.
const WAY_BITS: u32 = 16;

/// What was last seen of who serves: of some milliseconds ago, or of [`CHOICES`] choices where that is longer. Whoever finds that this was too long ago looks anew, one at a time; the others go by it
/// meanwhile.
#[derive(Debug)]
pub(crate) struct Sighted {
    began: Instant,
    /// For how long it holds, in milliseconds.
    holds: u64,
    /// Until when, in milliseconds since it began, and the way.
    until: AtomicU64,
    weight: AtomicU64,
    open: AtomicU64,
    /// Whose turn it was then: what was chosen since is open, too, for all that is known.
    turn: AtomicU64,
}

impl Sighted {
    pub(crate) fn new(members: usize) -> Self {
        let holds = FOR_EACH.saturating_mul(u32::try_from(members).unwrap_or(u32::MAX)).min(LONGEST);
        Self {
            began: Instant::now(),
            holds: u64::try_from(holds.as_millis()).unwrap_or(u64::MAX).max(1),
            until: AtomicU64::new(0),
            weight: AtomicU64::new(0),
            open: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        }
    }

    /// What was last seen, or what is seen now.
    pub(crate) fn sight(
        &self,
        look: impl FnOnce() -> Sight,
        turn: &Rotation,
        now: impl FnOnce() -> Instant,
    ) -> Sight {
        let (chosen, word) = (turn.now(), self.until.load(Ordering::Relaxed));
        if word == 0 || chosen % CHOICES == 0 {
            let now = now();
            let millis = self.millis(now);
            if millis < word >> WAY_BITS {
                return self.last(word, chosen);
            }
            let mine = (millis + self.holds) << WAY_BITS | (word & ((1 << WAY_BITS) - 1));
            let first = self.until.compare_exchange(word, mine, Ordering::Relaxed, Ordering::Relaxed);
            if first.is_ok() {
                return self.anew(look, turn, now);
            }
        }
        self.last(word, chosen)
    }

    fn last(&self, word: u64, chosen: u64) -> Sight {
        let since = chosen.saturating_sub(self.turn.load(Ordering::Relaxed));
        Sight {
            way: Way::of(u16::try_from(word & 0xFFFF).unwrap_or(0)),
            weight: self.weight.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed) + since,
        }
    }

    /// What is seen now.
    #[cold]
    pub(crate) fn anew(&self, look: impl FnOnce() -> Sight, turn: &Rotation, now: Instant) -> Sight {
        let sight = look();
        self.weight.store(sight.weight, Ordering::Relaxed);
        self.open.store(sight.open, Ordering::Relaxed);
        self.turn.store(turn.now(), Ordering::Relaxed);
        let until = self.millis(now) + self.holds;
        self.until.store(until << WAY_BITS | u64::from(sight.way.code()), Ordering::Relaxed);
        sight
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX >> WAY_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_holds_for_a_moment_and_what_was_chosen_since_is_added() {
        let (sighted, turn) = (Sighted::new(1000), Rotation::default());
        let seen = |open| Sight { way: Way::Backups, weight: 7, open };
        let sight = |open| sighted.sight(|| seen(open), &turn, Instant::now);
        assert_eq!(sight(5), seen(5));
        (0..CHOICES).for_each(|_| assert!(turn.next() < 99));
        tokio::time::advance(Duration::from_millis(9)).await;
        assert_eq!(sight(100), seen(5 + CHOICES), "it is not looked anew");
        turn.next();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(sight(100), seen(6 + CHOICES), "nor is the clock");
        (1..CHOICES).for_each(|_| assert!(turn.next() < 99));
        assert_eq!(sight(100), seen(100));
    }
}
