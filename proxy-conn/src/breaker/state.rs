//! The state machine of a breaker. Pure: whoever calls holds the lock and says what time it is.

use std::fmt;
use std::time::Duration;

use proxy_core::Bound;
use tokio::time::Instant;

use super::options::BreakerOptions;
use super::{Because, BreakerView, Change};

/// The state of a breaker, as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BreakerState {
    /// The target is dialled.
    Closed = 0,
    /// One connection tries whether the target is well again.
    HalfOpen = 1,
    /// The target is not dialled, or waits for a probe.
    Open = 2,
}

impl BreakerState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Its number as a metric: 0, 1 or 2.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state with what belongs to it.
#[derive(Debug, Clone, Copy)]
enum Position {
    Closed,
    Open { until: Instant, cool_down: Bound },
    HalfOpen { due: Instant, cool_down: Bound },
}

/// Somebody probes; so many dials had failed in a row before.
#[derive(Debug)]
pub(super) struct Probing {
    pub(super) failures: u32,
}

/// What the lock of a breaker guards.
///
/// Invariant: tickets of the present era were all given out in the present position, so in half-open there is one.
#[derive(Debug)]
pub(super) struct Gate {
    position: Position,
    /// Counts the changes of position.
    era: u64,
    failures: u32,
    opened: u32,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { position: Position::Closed, era: 0, failures: 0, opened: 0 }
    }

    pub(super) fn era(&self) -> u64 {
        self.era
    }

    /// The state in which a dial is admitted, or for how long none is (`None`: until a probe has told).
    pub(super) fn admit(&mut self, now: Instant) -> Result<BreakerState, Option<Duration>> {
        match self.position {
            Position::Closed => Ok(BreakerState::Closed),
            Position::HalfOpen { .. } => Err(None),
            Position::Open { until, .. } if now < until => Err(Some(until - now)),
            Position::Open { .. } => self.insist().map_err(|_| None),
        }
    }

    /// Whether [`admit`](Self::admit) would admit nobody. Changes nothing.
    pub(super) fn keeps_out(&self, now: Instant) -> bool {
        match self.position {
            Position::Closed => false,
            Position::HalfOpen { .. } => true,
            Position::Open { until, .. } => now < until,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.position, Position::Closed)
    }

    /// As [`admit`](Self::admit) for who has nobody else to go to: a cool-down keeps nobody from being the probe. The error is how many dials
    /// have failed in a row so far: while somebody else probes, that one's answer is the next.
    pub(super) fn insist(&mut self) -> Result<BreakerState, Probing> {
        match self.position {
            Position::Closed => Ok(BreakerState::Closed),
            Position::HalfOpen { .. } => Err(Probing { failures: self.failures }),
            Position::Open { until, cool_down } => {
                self.go(Position::HalfOpen { due: until, cool_down });
                Ok(BreakerState::HalfOpen)
            }
        }
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Closes it, whatever anybody else is about to say.
    pub(super) fn close(&mut self, because: Because) -> Option<Change> {
        let failures_in_a_row = std::mem::take(&mut self.failures);
        if self.state() == BreakerState::Closed {
            return None;
        }
        let from = self.go(Position::Closed);
        Some(Change { from, to: self.state(), failures_in_a_row, cool_down: None, because })
    }

    pub(super) fn succeeded(&mut self, era: u64) -> Option<Change> {
        if era != self.era {
            return None;
        }
        self.close(Because::ProbeSucceeded)
    }

    pub(super) fn failed(&mut self, era: u64, now: Instant, options: &BreakerOptions) -> Option<Change> {
        if era != self.era {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let (cool_down, because) = match self.position {
            Position::Closed if self.failures < options.failures_in_a_row.get() => return None,
            Position::Closed => {
                self.opened = self.opened.saturating_add(1);
                (options.cool_down, Because::Failures)
            }
            // Who had nobody else to go to came before its time: the cool-down is what it was, and nothing new is known.
            Position::HalfOpen { due, cool_down } if now < due => {
                self.go(Position::Open { until: due, cool_down });
                return None;
            }
            Position::HalfOpen { cool_down, .. } => (options.longer(cool_down), Because::ProbeFailed),
            Position::Open { .. } => return None,
        };
        let from = self.go(Position::Open { until: now + cool_down.get(), cool_down });
        let (to, failures_in_a_row) = (self.state(), self.failures);
        Some(Change { from, to, failures_in_a_row, cool_down: Some(cool_down), because })
    }

    /// Somebody left without a verdict. If it was the probe, the next may try at once.
    pub(super) fn left(&mut self, era: u64) {
        match self.position {
            Position::HalfOpen { due, cool_down } if era == self.era => {
                self.go(Position::Open { until: due, cool_down });
            }
            Position::Closed | Position::Open { .. } | Position::HalfOpen { .. } => {}
        }
    }

    pub(super) fn view(&self, now: Instant) -> BreakerView {
        let retry_in = match self.position {
            Position::Open { until, .. } => until.saturating_duration_since(now),
            Position::Closed | Position::HalfOpen { .. } => Duration::ZERO,
        };
        BreakerView {
            state: self.state(),
            failures_in_a_row: self.failures,
            opened: self.opened.into(),
            retry_in,
        }
    }

    fn state(&self) -> BreakerState {
        match self.position {
            Position::Closed => BreakerState::Closed,
            Position::HalfOpen { .. } => BreakerState::HalfOpen,
            Position::Open { .. } => BreakerState::Open,
        }
    }

    /// Takes another position, and begins an era; the state it was in.
    fn go(&mut self, position: Position) -> BreakerState {
        let from = self.state();
        self.position = position;
        self.era += 1;
        from
    }
}
