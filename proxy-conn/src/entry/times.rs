//! When a connection entered its phases, and how long it was in each: by its own ages.

use std::time::Duration;

use super::Entry;
use super::mark::Mark;
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
        let phase = self.phase();
        // Idle, too, there may be many times.
        if phase == Phase::Idle { self.spoke.age() } else { self.entered(phase) }
    }

    /// At what age it entered `phase`, which it has reached: of busy, of which there may be many, the last time.
    pub(super) fn entered(&self, phase: Phase) -> Duration {
        let [peek, tls, dial, idle, relay, drain] = &self.entered;
        match phase {
            Phase::Header => Duration::ZERO,
            Phase::Peek => peek.age(),
            Phase::Tls => tls.age(),
            Phase::Dial => dial.age(),
            Phase::Idle => idle.age(),
            Phase::Busy => self.spoke.age(),
            Phase::Relay => relay.age(),
            Phase::Drain => drain.age(),
        }
    }

    /// Time spent in `phase` by the age of `age`. The times in all phases add up to it.
    pub(crate) fn spent(&self, phase: Phase, age: Duration) -> Duration {
        self.times(age).get(phase.index()).copied().unwrap_or_default()
    }

    /// The time spent in each phase by the age of `age`.
    pub(crate) fn times(&self, age: Duration) -> [Duration; Phase::ALL.len()] {
        let mut times = [Duration::ZERO; Phase::ALL.len()];
        let present = self.phase();
        if present == Phase::Header {
            // Many are turned away at once.
            let [header, ..] = &mut times;
            *header = age;
            return times;
        }
        let [peek, tls, dial, idle, relay, drain] = &self.entered;
        // When each began; of those that have not, now.
        let began = |phase: Phase, mark: &Mark| if present >= phase { mark.age() } else { age };
        let bounds = [
            Duration::ZERO,
            began(Phase::Peek, peek),
            began(Phase::Tls, tls),
            began(Phase::Dial, dial),
            began(Phase::Idle, idle),
            self.busy_began(present, age),
            began(Phase::Relay, relay),
            began(Phase::Drain, drain),
            age,
        ];
        for (time, ends) in times.iter_mut().zip(bounds.windows(2)) {
            if let [from, to] = ends {
                *time = to.saturating_sub(*from);
            }
        }
        times
    }

    /// When busy began, as if all idle time had come first.
    fn busy_began(&self, present: Phase, age: Duration) -> Duration {
        let [_, _, _, idle, relay, drain] = &self.entered;
        match present {
            Phase::Header | Phase::Peek | Phase::Tls | Phase::Dial => age,
            Phase::Idle => age.saturating_sub(self.spoke.age().saturating_sub(relay.age())),
            Phase::Busy => relay.age(),
            Phase::Relay => drain.age(),
            Phase::Drain => idle.age(),
        }
    }
}
