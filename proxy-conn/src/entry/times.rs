//! When a connection entered its phases, and how long it was in each: by its own ages.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::time::Duration;

use super::Entry;
use crate::phase::Phase;

impl Entry {
    /// Notes when phases were entered, on the way from one to the next.
    pub(super) fn mark(&self, phase: Phase, next: Phase, age: Duration) {
        let [_, _, _, idle, relay, drain] = &self.entered;
        match (phase, next) {
            (Phase::Dial, Phase::Idle) => {
                idle.set(age);
                relay.set(age);
                self.spoke.set(age);
            }
            (Phase::Idle, Phase::Busy) => {
                relay.set(relay.age() + age.saturating_sub(self.spoke.age()));
                self.spoke.set(age);
            }
            (Phase::Busy, Phase::Idle) => self.spoke.set(age),
            (Phase::Busy, Phase::Relay) => {
                drain.set(relay.age());
                relay.set(age);
            }
            (Phase::Dial, Phase::Relay) => [idle, relay, drain].into_iter().for_each(|mark| mark.set(age)),
            (_, Phase::Drain) => drain.set(age),
            // Of those before, each has its mark, and one that was passed over has the time of the one after.
            _ => {
                let passed = self.entered.iter().take(next.index()).skip(phase.index());
                passed.for_each(|mark| mark.set(age));
            }
        }
    }

    /// At what age the present phase was entered.
    pub(super) fn since(&self) -> Duration {
        match self.phase() {
            Phase::Idle | Phase::Busy => self.spoke.age(),
            phase
            @ (Phase::Header | Phase::Peek | Phase::Tls | Phase::Dial | Phase::Relay | Phase::Drain) => {
                self.entered(phase)
            }
        }
    }

    /// At what age it entered `phase`, which it has reached: busy, when all idle time was over, as if that had come first.
    pub(super) fn entered(&self, phase: Phase) -> Duration {
        let [peek, tls, dial, idle, relay, drain] = &self.entered;
        match phase {
            Phase::Header => Duration::ZERO,
            Phase::Peek => peek.age(),
            Phase::Tls => tls.age(),
            Phase::Dial => dial.age(),
            Phase::Idle => idle.age(),
            Phase::Busy => match self.phase() {
                Phase::Relay => drain.age(),
                Phase::Drain => idle.age(),
                Phase::Header | Phase::Peek | Phase::Tls | Phase::Dial | Phase::Idle | Phase::Busy => {
                    relay.age()
                }
            },
            Phase::Relay => relay.age(),
            Phase::Drain => drain.age(),
        }
    }

    /// Time spent in `phase` by the age of `age`. The times in all phases add up to it.
    pub(crate) fn spent(&self, phase: Phase, age: Duration) -> Duration {
        let present = self.phase();
        if present == Phase::Idle && matches!(phase, Phase::Idle | Phase::Busy) {
            let busy = self.spoke.age().saturating_sub(self.entered(Phase::Busy));
            let both = age.saturating_sub(self.entered(Phase::Idle));
            return if phase == Phase::Busy { busy } else { both.saturating_sub(busy) };
        }
        let left = match phase.cmp(&present) {
            Less => Phase::ALL.get(phase.index() + 1).map_or(age, |next| self.entered(*next)),
            Equal => age,
            Greater => return Duration::ZERO,
        };
        left.saturating_sub(self.entered(phase))
    }
}
