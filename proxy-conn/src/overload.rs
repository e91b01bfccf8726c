//! The overload breaker of a pool: from what is seen to what is done, as pure logic.
//!
//! ```text
//!            a signal passes its tight mark              a signal passes its shed mark
//!  ┌────────┐ ─────────────────────────────► ┌───────┐ ─────────────────────────────► ┌──────┐
//!  │ normal │                                │ tight │                                │ shed │
//!  └────────┘ ◄───────────────────────────── └───────┘ ◄───────────────────────────── └──────┘
//!       │  ▲   all are the slack below theirs           all are the slack below theirs   ▲  │
//!       │  └──────────────────────────── a shortage that is over ───────────────────────────┘
//!       └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! There are two kinds of signals. A *shortage* (of places, descriptors, memory) is there or not: what it asks for rises and
//! falls with it. A *rate* (growth, dials that hang) is an average of the past: what it asks for lasts
//! [`least_stay`](OverloadOptions::least_stay) at least, and becomes milder one step at a time. The worse of the two holds.
//! What is done:
//!
//! | level | deadlines | idle connections | new connections |
//! |---|---|---|---|
//! | normal | in full | stay | welcome |
//! | tight | shortened by the [`Strength`] | some are ended, by the strength | welcome |
//! | shed | shortened by the strength; because of a rate, as short as they get | ended, by the strength | refused |
//!
//! The order is Envoy's: what is cheap and can be taken back comes first. The strength grows linearly between the two
//! marks, so measures come in softly, and stop as soon as they have worked. Of idle connections those that have carried
//! bytes go only as far as somebody else wants their place, or memory has to be given back.
//!
//! What it is not: it reads no clock, no `/proc` and no tracker, has no timer and ends nothing itself. Whoever owns the
//! pool calls [`Overload::observe`] now and then (Envoy: every 250 ms) with what it has read, publishes
//! [`Overload::pressure`] in a [`LevelCell`], and ends the [`Overload::victims`].

mod change;
mod growth;
mod level;
mod options;
mod percent;
mod signal;
#[cfg(test)]
mod tests;
mod victims;

use std::time::Duration;

use tokio::time::Instant;

pub use change::{Change, Threshold, Value};
pub use level::{Level, LevelCell, Pressure, Refusal, Strength};
pub use options::{OptionsError, OverloadOptions};
pub use percent::{Percent, PercentError};
pub use signal::{Readings, Signal, Usage};
pub use victims::{Candidate, Sent, Useless, Victim};

use growth::Growth;
use signal::Observed;
use victims::Relief;

/// How often victims are chosen at the most: the share that is ended at once is meant for a second, however often somebody
/// looks.
const RELIEF_EVERY: Duration = Duration::from_secs(1);

/// The overload breaker of one pool.
///
/// Invariant: two changes of what rates ask for are at least the options' `least_stay` apart.
#[derive(Debug)]
pub struct Overload {
    options: OverloadOptions,
    /// The marks by which a level is kept; always `options.relaxed()`.
    relaxed: OverloadOptions,
    growth: Growth,
    shortage: Asked,
    rate: Asked,
    /// When what rates ask for last changed; `None` if it never did, and then it may at once.
    changed: Option<Instant>,
    pressure: Pressure,
    /// Whom the last observation gives reason to end.
    relief: Relief,
    /// When there last was such a reason.
    relieved: Option<Instant>,
}

/// What one kind of signals asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    level: Level,
    /// The signal that the level is owed to; once it is left, the last that kept it.
    holder: Signal,
}

impl Overload {
    /// A breaker in [`Level::Normal`].
    #[must_use]
    pub fn new(options: OverloadOptions) -> Self {
        Self {
            relaxed: options.relaxed(),
            options,
            growth: Growth::default(),
            shortage: Asked::default(),
            rate: Asked::default(),
            changed: None,
            pressure: Pressure::default(),
            relief: Relief::NONE,
            relieved: None,
        }
    }

    /// Takes other options, and keeps its level until the next observation.
    pub fn reconfigure(&mut self, options: OverloadOptions) {
        self.options = options;
        self.relaxed = options.relaxed();
    }

    /// Takes in what is seen at `now`; the change of level that follows, if one does. Of several signals the worst decides.
    pub fn observe(&mut self, readings: &Readings, now: Instant) -> Option<Change> {
        self.growth.observe(readings.connections.used, now, self.options.growth_window);
        let seen = Observed { readings: *readings, trend: self.growth.trend(readings.connections) };
        let (from, before, rate) = (self.pressure.level, [self.shortage, self.rate], self.rate.level);
        self.shortage = self.asked(self.shortage, Signal::is_shortage, &seen);
        self.rate = self.rate_at(&seen, now);
        if self.rate.level != rate {
            self.changed = Some(now);
        }
        let to = self.shortage.level.max(self.rate.level);
        self.pressure = self.pressure_at(to, &seen);
        self.relief = self.relief_at(to, &seen, now);
        if to == from {
            return None;
        }
        let (signal, marks) = if to > from {
            (seen.worst(&self.options, |signal| self.asks_for(signal, to)).0, &self.options)
        } else {
            let last = before.into_iter().find(|asked| asked.level == from);
            (last.unwrap_or_default().holder, &self.relaxed)
        };
        Some(Change::new(from, to, signal, &seen, marks))
    }

    /// The level it is in.
    #[must_use]
    pub fn level(&self) -> Level {
        self.pressure.level
    }

    /// The result of the last observation; publish it in a [`LevelCell`].
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.pressure
    }

    /// Which of the pool's connections to end now, the first to go first. Leave out those that must never be ended for
    /// silence (immortal ones).
    ///
    /// In normal there are none, and a second call after one observation has none: the share is for one observation, and
    /// there is one for each second at the most. Nor are there any because of growth or of dials that hang, which the end of
    /// other connections would not help; nor any that have carried bytes, unless their places are wanted.
    ///
    /// `sent`: what the kernel knows of the bytes written to one. It is asked of those only that would go next, and whoever may
    /// be taking some is passed over.
    #[must_use]
    pub fn victims(&mut self, candidates: &[Candidate], sent: impl FnMut(&Candidate) -> Sent) -> Vec<Victim> {
        victims::choose(candidates, std::mem::take(&mut self.relief), &self.options, sent)
    }

    /// How many [`victims`](Self::victims) there are now at the most, in a pool of so many `connections`. Where that is
    /// none, nobody has to be looked at.
    #[must_use]
    pub fn most_victims(&self, connections: usize) -> usize {
        victims::most(connections, self.relief.strength, &self.options)
    }

    /// What those signals that `which` picks ask for together, where they asked for `before`.
    fn asked(&self, before: Asked, which: impl Fn(Signal) -> bool, seen: &Observed) -> Asked {
        let entered = seen.worst(&self.options, &which);
        let kept = seen.worst(&self.relaxed, &which);
        let level = entered.1.level().max(kept.1.level().min(before.level));
        let holder = if level > before.level {
            entered.0
        } else if level == before.level && kept.1.level() >= level {
            kept.0
        } else {
            before.holder
        };
        Asked { level, holder }
    }

    /// What rates ask for, which changes now and then only, and downwards one step at a time.
    fn rate_at(&self, seen: &Observed, now: Instant) -> Asked {
        let (before, asked) = (self.rate, self.asked(self.rate, |signal| !signal.is_shortage(), seen));
        let stay = self.options.least_stay.get();
        if self.changed.is_some_and(|changed| now.saturating_duration_since(changed) < stay) {
            let holder = if asked.level >= before.level { asked.holder } else { before.holder };
            return Asked { holder, ..before };
        }
        Asked { level: asked.level.max(before.level.milder()), ..asked }
    }

    /// Whether `signal` is of a kind that asks for `level` now, and may.
    fn asks_for(&self, signal: Signal, level: Level) -> bool {
        let asked = if signal.is_shortage() { self.shortage } else { self.rate };
        asked.level >= level && signal.may_ask_for(level)
    }

    fn pressure_at(&self, level: Level, seen: &Observed) -> Pressure {
        let (signal, severity) = seen.worst(&self.options, |signal| signal.may_ask_for(level));
        match level {
            Level::Normal => Pressure { level, strength: Strength::NONE, signal },
            Level::Tight => Pressure { level, strength: severity.strength(), signal },
            Level::Shed if self.rate.level == Level::Shed => {
                Pressure { level, strength: Strength::FULL, signal: self.rate.holder }
            }
            Level::Shed => Pressure { level, strength: severity.strength(), signal: self.shortage.holder },
        }
    }

    fn relief_at(&mut self, level: Level, seen: &Observed, now: Instant) -> Relief {
        let lately = |then| now.saturating_duration_since(then) < RELIEF_EVERY;
        if level == Level::Normal || self.relieved.is_some_and(lately) {
            return Relief::NONE;
        }
        let strength = seen.worst(&self.options, Signal::is_shortage).1.strength();
        if strength > Strength::NONE {
            self.relieved = Some(now);
        }
        Relief { strength, wanted: seen.wanted(&self.options) }
    }
}
