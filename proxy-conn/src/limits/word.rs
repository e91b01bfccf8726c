//! The counter of a limit: one word, changed in one atomic step.
//!
//! ```text
//! bit 63   62       61 ..... 31   30 ..... 0
//!     -    queued   most          in use
//! ```
//!
//! All three are in one word so that a decision sees all of them as they were at one moment: no permit is taken by a
//! newcomer while somebody waits, or under a limit that has just been lowered.
//!
//! | step | lock held | not queued, in use < most | not queued, in use ≥ most | queued |
//! |---|---|---|---|---|
//! | `take` | any | in use + 1 | refused | refused |
//! | `give` | any | in use − 1 | in use − 1 | refused: take the lock |
//! | `take_or_queue` | yes | in use + 1 | queued | queued |
//! | `give_or_pass` | yes | in use − 1 | in use − 1 | in use > most: − 1; else passed on, nothing changes |
//! | `take_for_waiter` | yes | - | - | in use < most: + 1; else refused |
//!
//! *Queued* is raised and lowered only under the lock of the [`Line`](super::queue::Line), and is up exactly while the
//! line is not empty. While it is up, no step without the lock changes the word, and (the lock being free) in use ≥ most.

use std::sync::atomic::Ordering;

use super::sync::AtomicU64;

/// The largest value of `most`: what fits in 31 bits.
pub(super) const MOST: usize = (1 << 31) - 1;

const QUEUED: u64 = 1 << 62;
const SHIFT: u32 = 31;
const MASK: u64 = (1 << SHIFT) - 1;

/// A counter; see the module.
pub(super) struct Word(AtomicU64);

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fields {
    in_use: u64,
    most: u64,
    queued: bool,
}

impl Fields {
    const fn unpack(word: u64) -> Self {
        Self { in_use: word & MASK, most: (word >> SHIFT) & MASK, queued: word & QUEUED != 0 }
    }

    const fn pack(self) -> u64 {
        self.in_use | (self.most << SHIFT) | if self.queued { QUEUED } else { 0 }
    }

    const fn one_more(self) -> Option<Self> {
        if self.in_use < self.most { Some(Self { in_use: self.in_use + 1, ..self }) } else { None }
    }

    const fn one_less(self) -> Self {
        Self { in_use: self.in_use.saturating_sub(1), ..self }
    }
}

/// What becomes of a permit that was given back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It is in nobody's hands.
    Back,
    /// It belongs to the one who waits longest; it stays counted.
    PassOn,
}

impl Word {
    pub(super) fn new(most: usize) -> Self {
        Self(AtomicU64::new(Fields { in_use: 0, most: clamped(most), queued: false }.pack()))
    }

    pub(super) fn in_use(&self) -> usize {
        sized(self.fields().in_use)
    }

    pub(super) fn most(&self) -> usize {
        sized(self.fields().most)
    }

    /// Takes a permit, if one is free and nobody waits; how many are then in use.
    pub(super) fn take(&self) -> Option<usize> {
        self.step(|fields| if fields.queued { None } else { fields.one_more() })
            .map(|fields| sized(fields.in_use))
    }

    /// Gives a permit back, unless somebody waits: then whether it is passed on has to be settled under the lock.
    pub(super) fn give(&self) -> bool {
        self.step(|fields| (!fields.queued).then_some(fields.one_less())).is_some()
    }

    /// Under the lock: takes a permit as [`take`](Self::take) does, or says that from now on somebody waits.
    pub(super) fn take_or_queue(&self) -> Option<usize> {
        let mut taken = None;
        self.step(|fields| {
            let more = if fields.queued { None } else { fields.one_more() };
            taken = more.map(|fields| sized(fields.in_use));
            Some(more.unwrap_or(Fields { queued: true, ..fields }))
        });
        taken
    }

    /// Under the lock: gives a permit back, or leaves it counted for the next in line.
    pub(super) fn give_or_pass(&self) -> Given {
        let back =
            self.step(|fields| (!fields.queued || fields.in_use > fields.most).then_some(fields.one_less()));
        if back.is_some() { Given::Back } else { Given::PassOn }
    }

    /// Under the lock: counts a permit for the next in line, if one is free.
    pub(super) fn take_for_waiter(&self) -> bool {
        self.step(Fields::one_more).is_some()
    }

    /// Under the lock: nobody waits any more.
    pub(super) fn unqueue(&self) {
        self.step(|fields| Some(Fields { queued: false, ..fields }));
    }

    /// Under the lock, as those that wait may have to be let in.
    pub(super) fn set_most(&self, most: usize) {
        self.step(|fields| Some(Fields { most: clamped(most), ..fields }));
    }

    fn fields(&self) -> Fields {
        Fields::unpack(self.0.load(Ordering::Relaxed))
    }

    /// Replaces the fields by what `next` makes of them, which is then returned; leaves them if it makes nothing.
    fn step(&self, mut next: impl FnMut(Fields) -> Option<Fields>) -> Option<Fields> {
        let mut after = None;
        let step = |word| {
            after = next(Fields::unpack(word));
            after.map(Fields::pack)
        };
        // What a permit's holder did happens before what the next holder does: hence acquire and release.
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, step).ok().and(after)
    }
}

fn clamped(most: usize) -> u64 {
    // INVARIANT: at most 2³¹ − 1, so it fits whatever the size of usize.
    u64::try_from(most.min(MOST)).unwrap_or(MASK)
}

fn sized(count: u64) -> usize {
    // INVARIANT: a field has 31 bits, and no target of ours has a smaller usize.
    usize::try_from(count).unwrap_or(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What each step makes of each kind of word, as in the module's table.
    #[test]
    fn the_whole_matrix() {
        let words = [(0, 1, false), (1, 1, false), (2, 1, false), (1, 1, true), (2, 1, true), (0, 1, true)];
        let shown =
            |Fields { in_use, most, queued }| format!("{in_use}/{most}{}", if queued { "q" } else { "" });
        let mut matrix = format!("{:<15}", "before");
        for (in_use, most, queued) in words {
            matrix += &format!("  {:<8}", shown(Fields { in_use, most, queued }));
        }
        let mut row = |name: &str, step: fn(&Word) -> bool| {
            matrix += &format!("\n{name:<15}");
            for (in_use, most, queued) in words {
                let word = Word(AtomicU64::new(Fields { in_use, most, queued }.pack()));
                let yes = if step(&word) { "yes" } else { "no" };
                matrix += &format!("  {yes:<3} {:<4}", shown(word.fields()));
            }
        };
        row("take", |word| word.take().is_some());
        row("give", Word::give);
        row("take_or_queue", |word| word.take_or_queue().is_some());
        row("passed on", |word| word.give_or_pass() == Given::PassOn);
        row("take_for_waiter", Word::take_for_waiter);
        let matrix: Vec<_> = matrix.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(matrix.join("\n"), @r"
        before           0/1       1/1       2/1       1/1q      2/1q      0/1q
        take             yes 1/1   no  1/1   no  2/1   no  1/1q  no  2/1q  no  0/1q
        give             yes 0/1   yes 0/1   yes 1/1   no  1/1q  no  2/1q  no  0/1q
        take_or_queue    yes 1/1   no  1/1q  no  2/1q  no  1/1q  no  2/1q  no  0/1q
        passed on        no  0/1   no  0/1   no  1/1   yes 1/1q  no  1/1q  yes 0/1q
        take_for_waiter  yes 1/1   no  1/1   no  2/1   no  1/1q  no  2/1q  yes 1/1q
        ");
    }

    proptest! {
        #[test]
        fn fields_survive_packing(in_use in 0..=MASK, most in 0..=MASK, queued: bool) {
            let fields = Fields { in_use, most, queued };
            prop_assert_eq!(Fields::unpack(fields.pack()), fields);
        }
    }
}
