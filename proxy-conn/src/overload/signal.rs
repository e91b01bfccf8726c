//! What is watched, and how bad each of it is.

use std::fmt;
use std::time::Duration;

use super::growth::Trend;
use super::level::{Level, Strength};
use super::options::OverloadOptions;
use super::percent::Percent;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Signal {
    /// The pool's connections against their limit.
    #[default]
    Connections = 0,
    /// When the pool's connections, as they grow now, will reach their limit.
    Growth = 1,
    /// The pool's connections that are in dial, while the oldest of them has waited for long.
    Dialling = 2,
    /// The process's descriptors against their limit.
    Descriptors = 3,
    /// The process's allocated memory against its bound.
    Memory = 4,
}

impl Signal {
    /// All signals. Of several that are equally bad, the first is named.
    pub const ALL: [Self; 5] =
        [Self::Connections, Self::Growth, Self::Dialling, Self::Descriptors, Self::Memory];

    /// The stable name: a metric label and a log field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Growth => "growth",
            Self::Dialling => "dialling",
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
        }
    }

    /// Whether it can ask for `level`. Growth is a forecast, and nobody is refused because of a forecast.
    pub(super) const fn may_ask_for(self, level: Level) -> bool {
        match self {
            Self::Growth => !matches!(level, Level::Shed),
            Self::Connections | Self::Dialling | Self::Descriptors | Self::Memory => true,
        }
    }

    /// Whether it is a shortage of places: it gets better when established connections are ended, and is over as soon as there
    /// are places again. Neither a forecast nor a dial that hangs is: those are rates, of which one reading tells little.
    pub(super) const fn is_shortage(self) -> bool {
        match self {
            Self::Connections | Self::Descriptors | Self::Memory => true,
            Self::Growth | Self::Dialling => false,
        }
    }

    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    pub(super) const fn complaint(self) -> &'static str {
        match self {
            Self::Connections => "too many connections are open",
            Self::Growth => "its connections grow too fast",
            Self::Dialling => "too many connections wait for a backend",
            Self::Descriptors => "too many descriptors are in use",
            Self::Memory => "too much memory is allocated",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How much of something is in use, of how much there may be. A limit of 0 means that it is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Usage {
    /// How much is in use.
    pub used: u64,
    /// The limit; 0 if it is not watched.
    pub limit: u64,
    /// How much of both is in use without any connection. The end of every connection would not bring it back, so it counts on
    /// neither side: what is judged is what they use of what there is for them.
    pub own: u64,
}

impl Usage {
    /// `used` of `limit`, all of it by those whose end gives it back.
    #[must_use]
    pub const fn new(used: u64, limit: u64) -> Self {
        Self { used, limit, own: 0 }
    }

    /// The same where `own` of it is in use without any connection. Where that is all there may be, there is nothing to watch.
    #[must_use]
    pub const fn beside(self, own: u64) -> Self {
        Self { own, ..self }
    }

    /// The same less what stays in use: what counts.
    #[must_use]
    pub const fn counted(self) -> Self {
        Self::new(self.used.saturating_sub(self.own), self.limit.saturating_sub(self.own))
    }

    /// Whether it is `share` of the limit or more. Of what is not watched it never is.
    #[must_use]
    pub fn reaches(self, share: Percent) -> bool {
        let Self { used, limit, .. } = self.counted();
        limit > 0 && u128::from(used) * 100 >= u128::from(limit) * u128::from(share.points())
    }

    /// From how much in use on it is `share` of the limit; None where it is not watched.
    #[must_use]
    pub fn mark(self, share: Percent) -> Option<u64> {
        let Self { limit, .. } = self.counted();
        let mark = (u128::from(limit) * u128::from(share.points())).div_ceil(100);
        // INVARIANT: a share of a number of 64 bits is one too.
        let mark = u64::try_from(mark).unwrap_or(u64::MAX);
        (limit > 0).then(|| mark.saturating_add(self.own))
    }

    /// How much less there has to be in use for it to be below `share` of the limit.
    fn beyond(self, share: Percent) -> u64 {
        self.mark(share).map_or(0, |mark| self.used.saturating_add(1).saturating_sub(mark))
    }
}

/// What there is to see of a pool, and of the process it is in, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readings {
    /// The pool's tracked connections, in every phase, against the pool's limit.
    pub connections: Usage,
    /// How many of them are in dial.
    pub dialling: u64,
    /// For how long the oldest of those has been in dial; zero if none is.
    pub oldest_dial: Duration,
    /// The process's open descriptors against `RLIMIT_NOFILE`.
    pub descriptors: Usage,
    /// The process's allocated bytes against the memory bound. Not its resident ones: those that were freed and that the
    /// allocator still has are nobody's.
    pub memory: Usage,
    /// How many were turned away or wait since the last look, for want of a place that the end of others would give them.
    pub wanted: u64,
}

/// How bad a signal is, in thousandths: below 1 000 is normal, from there tight, and from 2 000 on the mark for shedding
/// is passed. In integers, so that a reading on a mark is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Severity(u64);

/// Descriptors that the end of one connection gives back: its two sockets.
const DESCRIPTORS_EACH: u64 = 2;

const TIGHT: u64 = 1000;
const SHED: u64 = 2000;

impl Severity {
    const NONE: Self = Self(0);

    pub(super) fn level(self) -> Level {
        match self.0 {
            SHED.. => Level::Shed,
            TIGHT.. => Level::Tight,
            _ => Level::Normal,
        }
    }

    pub(super) fn strength(self) -> Strength {
        Strength::from_thousandths(self.0.saturating_sub(TIGHT))
    }

    /// Of a share of a limit, between its marks. Marks that are crossed act as one.
    fn of_share(usage: Usage, tight: Percent, shed: Percent) -> Self {
        let usage = usage.counted();
        if usage.limit == 0 {
            return Self::NONE;
        }
        let at = |mark: Percent| u128::from(usage.limit) * u128::from(mark.points());
        let (used, tight, shed) = (u128::from(usage.used) * 100, at(tight), at(shed.max(tight)));
        let thousandths = if used < tight {
            used * 1000 / tight
        } else if used < shed {
            1000 + (used - tight) * 1000 / (shed - tight)
        } else {
            2000 + (used - shed) * 1000 / shed
        };
        Self(u64::try_from(thousandths).unwrap_or(u64::MAX))
    }

    /// Of the time that is left until a limit is reached: tight from `within` on, and never quite enough to shed.
    fn of_time_left(left: Duration, within: Duration) -> Self {
        let (left, within) = (left.as_millis(), within.as_millis().max(1));
        let thousandths =
            if left > within { within * 1000 / left } else { 1000 + (within - left) * 999 / within };
        Self(u64::try_from(thousandths).unwrap_or(u64::MAX))
    }
}

/// The readings, and what they say about growth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    pub(super) readings: Readings,
    pub(super) trend: Trend,
}

impl Observed {
    /// How bad `signal` is by the marks of `options`.
    pub(super) fn severity(&self, signal: Signal, options: &OverloadOptions) -> Severity {
        let Readings { connections, dialling, oldest_dial, descriptors, memory, wanted: _ } = self.readings;
        match signal {
            Signal::Connections => {
                Severity::of_share(connections, options.connections_tight, options.connections_shed)
            }
            Signal::Growth if connections.reaches(options.growth_from) => {
                Severity::of_time_left(self.trend.left, options.growth_within.get())
            }
            Signal::Dialling if oldest_dial >= options.dialling_patience.get() => {
                let backlog = Usage::new(dialling, connections.limit);
                Severity::of_share(backlog, options.dialling_tight, options.dialling_shed)
            }
            Signal::Growth | Signal::Dialling => Severity::NONE,
            Signal::Descriptors => {
                Severity::of_share(descriptors, options.descriptors_tight, options.descriptors_shed)
            }
            Signal::Memory => Severity::of_share(memory, options.memory_tight, options.memory_shed),
        }
    }

    /// The worst signal of those that `which` picks, by the marks of `options`. The first of equals.
    pub(super) fn worst(
        &self,
        options: &OverloadOptions,
        which: impl Fn(Signal) -> bool,
    ) -> (Signal, Severity) {
        let mut worst = (Signal::default(), Severity::NONE);
        for signal in Signal::ALL.into_iter().filter(|signal| which(*signal)) {
            let severity = self.severity(signal, options);
            if severity > worst.1 {
                worst = (signal, severity);
            }
        }
        worst
    }
}

impl Observed {
    /// How many of those that are merely silent have to go: none while nobody is turned away; else so many that the level is
    /// left at which newcomers are, and as many more as there are newcomers. Where memory is short, whoever may go.
    pub(super) fn wanted(&self, options: &OverloadOptions) -> u64 {
        let Readings { connections, descriptors, memory, wanted, .. } = self.readings;
        if memory.reaches(options.memory_shed) {
            return u64::MAX;
        }
        if wanted == 0 {
            return 0;
        }
        let places = connections.beyond(options.connections_shed);
        let descriptors = descriptors.beyond(options.descriptors_shed).div_ceil(DESCRIPTORS_EACH);
        places.max(descriptors).saturating_add(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_exact_at_the_marks_and_linear_between() {
        let (tight, shed) = (Percent::new(80), Percent::new(95));
        let of = |used| Severity::of_share(Usage::new(used, 1000), tight, shed).0;
        assert_eq!(
            [0, 400, 799, 800, 875, 949, 950, 1000].map(of),
            [0, 500, 998, 1000, 1500, 1993, 2000, 2052]
        );
        assert_eq!(Severity::of_share(Usage::new(7, 0), tight, shed), Severity::NONE, "not watched");
        let crossed = |used| Severity::of_share(Usage::new(used, 1000), shed, tight).0;
        assert_eq!([949, 950].map(crossed), [998, 2000], "marks that are crossed act as one");
        let beside = |used, own| Severity::of_share(Usage::new(used, 1000).beside(own), tight, shed).0;
        assert_eq!(
            [beside(500, 500), beside(900, 500), beside(975, 500)],
            [0, 1000, 2000],
            "of the other half"
        );
        assert_eq!(beside(1000, 1000), 0, "there is nothing to watch");
        assert!(Severity::of_share(Usage::new(u64::MAX, 1), tight, shed).0 > 2000);
        assert!(Severity::of_share(Usage::new(u64::MAX, u64::MAX), tight, shed).0 > 2000);
    }

    #[test]
    fn time_left_is_tight_from_its_mark_and_never_sheds() {
        let of = |left| Severity::of_time_left(Duration::from_secs(left), Duration::from_secs(60)).0;
        assert_eq!([u64::MAX, 120, 61, 60, 30, 0].map(of), [0, 500, 983, 1000, 1499, 1999]);
    }
}
