//! A change of level, in words.

use std::fmt;
use std::time::Duration;

use proxy_core::Bound;

use super::level::Level;
use super::options::OverloadOptions;
use super::percent::Percent;
use super::signal::{Observed, Signal, Usage};

/// A pool went from one level to another. Its text is a line of the log, less the pool's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The level it left.
    pub from: Level,
    /// The level it is in now.
    pub to: Level,
    /// On the way up the worst signal, on the way down the last that held the level.
    pub signal: Signal,
    /// What the signal read.
    pub value: Value,
    /// The mark it passed: on the way up that of the new level, on the way down that below which the old one is left.
    pub threshold: Threshold,
}

/// What a signal read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Connections that are open.
    Connections(Usage),
    /// How the connections grow.
    Growth {
        /// How many more there are a minute.
        per_minute: u64,
        /// Until they reach the limit; `Duration::MAX` if never.
        left: Duration,
        /// The connections that are open now.
        open: Usage,
    },
    /// Connections in dial, against the limit of connections.
    Dialling {
        /// How many.
        waiting: Usage,
        /// For how long the oldest of them.
        oldest: Duration,
    },
    /// Descriptors in use.
    Descriptors(Usage),
    /// Allocated bytes.
    Memory(Usage),
}

/// A mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Threshold {
    /// A share of the limit.
    Share(Percent),
    /// A share of the limit in dial, while the oldest has waited for a time.
    Waiting(Percent, Bound),
    /// A time until the limit is reached, watched from a share of it on.
    Within(Bound, Percent),
}

impl Change {
    /// The change `from` to `to` because of `signal`, with the marks of `options`.
    pub(super) fn new(
        from: Level,
        to: Level,
        signal: Signal,
        seen: &Observed,
        options: &OverloadOptions,
    ) -> Self {
        let mark = if to > from { to } else { to.worse() };
        Self { from, to, signal, value: seen.value(signal), threshold: Threshold::of(signal, mark, options) }
    }
}

impl Threshold {
    /// The mark of `signal` for `level`.
    fn of(signal: Signal, level: Level, options: &OverloadOptions) -> Self {
        let pick = |tight, shed| match level {
            Level::Normal | Level::Tight => tight,
            Level::Shed => shed,
        };
        match signal {
            Signal::Growth => Self::Within(options.growth_within, options.growth_from),
            Signal::Connections => Self::Share(pick(options.connections_tight, options.connections_shed)),
            Signal::Dialling => {
                Self::Waiting(pick(options.dialling_tight, options.dialling_shed), options.dialling_patience)
            }
            Signal::Descriptors => Self::Share(pick(options.descriptors_tight, options.descriptors_shed)),
            Signal::Memory => Self::Share(pick(options.memory_tight, options.memory_shed)),
        }
    }
}

impl Observed {
    /// What `signal` read.
    fn value(&self, signal: Signal) -> Value {
        let readings = self.readings;
        let limit = readings.connections.limit;
        match signal {
            Signal::Connections => Value::Connections(readings.connections),
            Signal::Growth => Value::Growth {
                per_minute: self.trend.per_minute,
                left: self.trend.left,
                open: readings.connections,
            },
            Signal::Dialling => Value::Dialling {
                waiting: Usage::new(readings.dialling, limit),
                oldest: readings.oldest_dial,
            },
            Signal::Descriptors => Value::Descriptors(readings.descriptors),
            Signal::Memory => Value::Memory(readings.memory),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, value, threshold, .. } = self;
        write!(f, "{from} → {to}: {value} ({to} ")?;
        match (threshold, to > from) {
            (Threshold::Share(share), true) => write!(f, "from {share})"),
            (Threshold::Share(share), false) => write!(f, "below {share})"),
            (Threshold::Waiting(share, age), true) => write!(f, "from {share} and {age})"),
            (Threshold::Waiting(share, age), false) => write!(f, "below {share} or {age})"),
            (Threshold::Within(time, share), true) => write!(f, "within {time}, from {share} on)"),
            (Threshold::Within(time, share), false) => write!(f, "beyond {time} or below {share})"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Connections(usage) => write!(f, "{usage} connections are open"),
            Self::Growth { per_minute: 0, open, .. } => {
                write!(f, "{open} connections are open, and they do not grow")
            }
            Self::Growth { per_minute, left, open } => {
                let left = spelt(left);
                write!(
                    f,
                    "{open} connections are open, and {per_minute} more a minute reach the limit in {left}"
                )
            }
            Self::Dialling { waiting: Usage { used: 0, .. }, .. } => f.write_str("no connection is in dial"),
            Self::Dialling { waiting: Usage { used, limit, .. }, oldest } => {
                write!(
                    f,
                    "{used} of at most {limit} connections are in dial, the oldest for {}",
                    spelt(oldest)
                )
            }
            Self::Descriptors(usage) => {
                write!(f, "{} descriptors are in use", usage.counted())?;
                beside(f, usage.own, "")
            }
            Self::Memory(usage) => {
                let Usage { used, limit, .. } = usage.counted();
                write!(f, "{} MiB of memory are allocated", Usage::new(used >> 20, limit >> 20))?;
                beside(f, usage.own >> 20, " MiB")
            }
        }
    }
}

/// What the process itself has, if that is anything.
fn beside(f: &mut fmt::Formatter<'_>, own: u64, unit: &str) -> fmt::Result {
    if own == 0 { Ok(()) } else { write!(f, ", beside {own}{unit} of the process's own") }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.used, self.limit)
    }
}

/// A duration in whole seconds, at least one, as a bound is written.
fn spelt(duration: Duration) -> Bound {
    let seconds = Duration::from_secs(duration.as_secs().max(1));
    Bound::try_from(seconds).unwrap_or(Bound::MAX)
}
