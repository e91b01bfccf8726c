//! The overload breaker of a pool: from what is seen to what is done, as pure logic.
//!
//! ```text
//!            a signal passes its tight mark              a signal passes its shed mark
//!  ┌────────┐ ─────────────────────────────► ┌───────┐ ─────────────────────────────► ┌──────┐
//!  │ normal │                                │ tight │                                │ shed │
//!  └────────┘ ◄───────────────────────────── └───────┘ ◄───────────────────────────── └──────┘
//!       │      all are the slack below theirs           all are the slack below theirs   ▲
//!       └────────────────────────────────────────────────────────────────────────────────┘
//!                               up may skip a level, down never does
//! ```
//!
//! Every level lasts [`least_stay`](OverloadOptions::least_stay) at least. What is done:
//!
//! | level | deadlines | idle connections | new connections |
//! |---|---|---|---|
//! | normal | in full | stay | welcome |
//! | tight | shortened by the [`Strength`] | some are ended, by the strength | welcome |
//! | shed | as short as they get | ended, by the strength | refused |
//!
//! The order is Envoy's: what is cheap and can be taken back comes first. The strength grows linearly between the two
//! marks, so measures come in softly, and stop as soon as they have worked.
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

use std::cmp::Ordering;

use tokio::time::Instant;

pub use change::{Change, Threshold, Value};
pub use level::{Level, LevelCell, Pressure, Refusal, Strength};
pub use options::{OptionsError, OverloadOptions};
pub use percent::{Percent, PercentError};
pub use signal::{Readings, Signal, Usage};
pub use victims::{Candidate, Useless, Victim};

use growth::Growth;
use signal::Observed;

/// The overload breaker of one pool.
///
/// Invariant: two changes of its level are at least the options' `least_stay` apart.
#[derive(Debug)]
pub struct Overload {
    options: OverloadOptions,
    /// The marks by which a level is kept; always `options.relaxed()`.
    relaxed: OverloadOptions,
    growth: Growth,
    /// When the level last changed; `None` if it never did, and then it may at once.
    changed: Option<Instant>,
    pressure: Pressure,
    /// The signal that the present level is owed to.
    holder: Signal,
    /// How many victims may still be chosen because of the last observation.
    relief: Strength,
}

impl Overload {
    /// A breaker in [`Level::Normal`].
    #[must_use]
    pub fn new(options: OverloadOptions) -> Self {
        Self {
            relaxed: options.relaxed(),
            options,
            growth: Growth::default(),
            changed: None,
            pressure: Pressure::default(),
            holder: Signal::default(),
            relief: Strength::NONE,
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
        let from = self.pressure.level;
        let to = self.next_level(&seen, now);
        self.holder = self.holder_at(from, to, &seen);
        self.pressure = self.pressure_at(to, &seen);
        self.relief = self.relief_at(to, &seen);
        if to == from {
            return None;
        }
        self.changed = Some(now);
        let marks = if to > from { &self.options } else { &self.relaxed };
        Some(Change::new(from, to, self.holder, &seen, marks))
    }

    /// The level it is in.
    #[must_use]
    pub fn level(&self) -> Level {
        self.pressure.level
    }

    /// What the last observation came to; publish it in a [`LevelCell`].
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.pressure
    }

    /// Which of the pool's connections to end now, the first to go first. Leave out those that must never be ended for
    /// silence (immortal ones).
    ///
    /// In normal there are none, and a second call after one observation has none: the share is for one observation.
    /// Nor are there any because of growth or of dials that hang, which the end of other connections would not help.
    #[must_use]
    pub fn victims(&mut self, candidates: &[Candidate]) -> Vec<Victim> {
        victims::choose(candidates, std::mem::take(&mut self.relief), &self.options)
    }

    /// How many [`victims`](Self::victims) there are now at the most, in a pool of so many `connections`. Where that is
    /// none, nobody has to be looked at.
    #[must_use]
    pub fn most_victims(&self, connections: usize) -> usize {
        victims::most(connections, self.relief, &self.options)
    }

    fn next_level(&self, seen: &Observed, now: Instant) -> Level {
        let level = self.pressure.level;
        let stay = self.options.least_stay.get();
        if self.changed.is_some_and(|changed| now.saturating_duration_since(changed) < stay) {
            return level;
        }
        let entered = seen.worst(&self.options, |_| true).1.level();
        let kept = seen.worst(&self.relaxed, |_| true).1.level().min(level);
        let wanted = entered.max(kept);
        if wanted < level { level.milder() } else { wanted }
    }

    fn pressure_at(&self, level: Level, seen: &Observed) -> Pressure {
        let (signal, severity) = seen.worst(&self.options, |signal| signal.may_ask_for(level));
        let strength = match level {
            Level::Normal => Strength::NONE,
            Level::Tight => severity.strength(),
            Level::Shed => Strength::FULL,
        };
        Pressure { level, strength, signal }
    }

    fn relief_at(&self, level: Level, seen: &Observed) -> Strength {
        match level {
            Level::Normal => Strength::NONE,
            Level::Tight | Level::Shed => {
                seen.worst(&self.options, Signal::is_relieved_by_ending).1.strength()
            }
        }
    }

    /// Which signal the level is owed to: on the way up the worst by the marks of entering, while it lasts the worst by
    /// those of keeping, and on the way down the one that was the last to keep it.
    fn holder_at(&self, from: Level, to: Level, seen: &Observed) -> Signal {
        let asks = |signal: Signal| signal.may_ask_for(to);
        match to.cmp(&from) {
            Ordering::Greater => seen.worst(&self.options, asks).0,
            Ordering::Equal => {
                let (signal, severity) = seen.worst(&self.relaxed, asks);
                if severity.level() >= to { signal } else { self.holder }
            }
            Ordering::Less => self.holder,
        }
    }
}
