//! How far back, and how finely.

use std::time::Duration;

use super::scale::Scale;
use super::step::Precision;

/// How far back, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// Ten minutes, in seconds.
    TenMinutes,
    /// Six hours, in steps of ten seconds.
    SixHours,
    /// Fourteen days, in steps of five minutes.
    FourteenDays,
}

/// Seconds are what rules judge by: up to two thousand connections a second are counted exactly.
const FINE: Precision = Precision {
    open: Scale::with_digits(10),
    counts: Scale::with_digits(10),
    bytes: Scale::with_digits(4),
    first_byte: Scale::with_digits(3),
};
/// Counts are off by a 16th at most, bytes by an 8th, those that are open by a 64th: what one sees of it in a chart, and what an hour
/// is judged by.
const MIDDLE: Precision = Precision {
    open: Scale::with_digits(5),
    counts: Scale::with_digits(3),
    bytes: Scale::with_digits(2),
    first_byte: Scale::with_digits(2),
};
const COARSE: Precision = Precision {
    open: Scale::with_digits(4),
    counts: Scale::with_digits(3),
    bytes: Scale::with_digits(2),
    first_byte: Scale::with_digits(2),
};

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::TenMinutes, Self::SixHours, Self::FourteenDays];

    /// `10m`, `6h` or `14d`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenMinutes => "10m",
            Self::SixHours => "6h",
            Self::FourteenDays => "14d",
        }
    }

    /// The span of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }

    /// How long a step is.
    #[must_use]
    pub const fn step(self) -> Duration {
        Duration::from_secs(self.step_s() as u64)
    }

    /// The shortest that reaches so many seconds back; the longest where none does.
    pub(super) fn reaching(seconds: u32) -> Self {
        Self::ALL
            .into_iter()
            .find(|span| span.step_s() * span.steps() >= seconds)
            .unwrap_or(Self::FourteenDays)
    }

    pub(super) const fn step_s(self) -> u32 {
        match self {
            Self::TenMinutes => 1,
            Self::SixHours => 10,
            Self::FourteenDays => 300,
        }
    }

    /// How many steps there are.
    pub(super) const fn steps(self) -> u32 {
        match self {
            Self::TenMinutes => 600,
            Self::SixHours => 6 * 360,
            Self::FourteenDays => 14 * 288,
        }
    }

    /// How many steps are forgotten at one time: a chunk is decoded from its beginning, and takes some room by itself.
    pub(super) const fn chunk(self) -> u32 {
        self.steps() / 8
    }

    pub(super) const fn precision(self) -> &'static Precision {
        match self {
            Self::TenMinutes => &FINE,
            Self::SixHours => &MIDDLE,
            Self::FourteenDays => &COARSE,
        }
    }
}
