//! Looking again: only what is odd in every look is reported.
//!
//! ```text
//! look 1 ──► nothing ──────────────────────────────────────────────► done
//!    │ something
//!    ▼ second_look (200 ms)
//! look 2 ──► nothing, or only what has a bound of its own ─────────► done
//!    │ orphans, zombies, overdue, tasks, permits                      ▲
//!    ▼ the rest of grace (2 s since look 1)                           │
//! look 3 ─────────────────────────────────────────────────────────────┘
//! ```
//! Workers go on while the audit looks. What lasts has to be the same socket (inode), the same entry (id), the same
//! deadline, or a count that differs in the same direction. A loaded worker may take longer than the second look to come
//! to a socket that was just accepted, connected or reset, and one that stood still with the whole process to what came
//! meanwhile, which moves a deadline that this thread finds passed: what could be that has to last for the whole grace.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

use super::AuditOptions;
use super::compare::{Difference, Suspects};

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Look again after this long.
    Again(Duration),
    /// These were odd in every look.
    Done(Box<Suspects>),
}

/// A row of looks. Pure: it is told what each look found, and says what to do.
#[derive(Debug)]
pub struct Looks {
    second_look: Duration,
    grace: Duration,
    taken: u8,
    lasting: Suspects,
}

impl Looks {
    /// No look taken yet.
    #[must_use]
    pub fn new(options: &AuditOptions) -> Self {
        let (second_look, grace) = (options.second_look.get(), options.grace.get());
        Self { second_look, grace, taken: 0, lasting: Suspects::default() }
    }

    /// Looks taken.
    #[must_use]
    pub const fn taken(&self) -> u8 {
        self.taken
    }

    /// Takes what a look found.
    pub fn look(&mut self, found: Suspects) -> Step {
        self.taken += 1;
        self.lasting = if self.taken == 1 { found } else { lasting(&self.lasting, found) };
        match self.taken {
            1 if !self.lasting.is_empty() => Step::Again(self.second_look),
            2 if self.lasting.any_passing() && self.grace > self.second_look => {
                Step::Again(self.grace.saturating_sub(self.second_look))
            }
            _ => Step::Done(Box::new(std::mem::take(&mut self.lasting))),
        }
    }
}

/// Of what was found now, what was found before too.
fn lasting(before: &Suspects, mut now: Suspects) -> Suspects {
    retain(&mut now.orphans, &before.orphans, |socket| socket.inode);
    // A lost descriptor may be given anew between two looks, so half a zombie may become a whole one, and back.
    let undead: HashSet<_> = before.zombies.iter().chain(&before.half_zombies).map(|s| s.conn.id).collect();
    now.zombies.retain(|suspect| undead.contains(&suspect.conn.id));
    now.half_zombies.retain(|suspect| undead.contains(&suspect.conn.id));
    retain(&mut now.stuck, &before.stuck, |suspect| suspect.conn.id);
    retain(&mut now.overdue, &before.overdue, |suspect| {
        (suspect.conn.id, suspect.conn.deadline.map(|(at, _)| at))
    });
    // While connections come and go, each worker may be in the middle of one at the instant of a look.
    let between_steps = if now.moved == before.moved { 0 } else { now.workers as u64 };
    let lasts = |now: &Difference, before: &[Difference]| {
        let same =
            |then: &&Difference| then.what == now.what && then.excess().signum() == now.excess().signum();
        before.iter().any(|then| same(&then)) && now.excess().unsigned_abs() > between_steps
    };
    now.tasks = now.tasks.filter(|difference| lasts(difference, before.tasks.as_slice()));
    now.permits.retain(|difference| lasts(difference, &before.permits));
    now
}

fn retain<T, K: Hash + Eq>(now: &mut Vec<T>, before: &[T], key: impl Fn(&T) -> K) {
    let known: HashSet<K> = before.iter().map(&key).collect();
    now.retain(|found| known.contains(&key(found)));
}

#[cfg(test)]
mod tests;
