//! The three levels, and how hard the level is enforced.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proxy_core::Bound;

use super::signal::Signal;

/// How loaded a pool is. Ordered: later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    /// Nothing is done.
    #[default]
    Normal = 0,
    /// Deadlines are shortened, and a few idle connections are ended.
    Tight = 1,
    /// New connections are refused as well.
    Shed = 2,
}

impl Level {
    /// All levels, the mildest first.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Tight, Self::Shed];

    /// Its number as a metric: 0, 1 or 2.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Tight => "tight",
            Self::Shed => "shed",
        }
    }

    /// One level worse.
    pub(super) const fn worse(self) -> Self {
        match self {
            Self::Normal => Self::Tight,
            Self::Tight | Self::Shed => Self::Shed,
        }
    }

    /// One level milder.
    pub(super) const fn milder(self) -> Self {
        match self {
            Self::Normal | Self::Tight => Self::Normal,
            Self::Shed => Self::Tight,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How hard the measures of a level are applied: from 0 (not at all, at the tight mark) to 1 (in full, at the shed mark),
/// in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Strength(u16);

impl Strength {
    /// Not at all.
    pub const NONE: Self = Self(0);
    /// In full.
    pub const FULL: Self = Self(1000);

    /// `thousandths`, at most 1 000.
    #[must_use]
    pub fn from_thousandths(thousandths: u64) -> Self {
        u16::try_from(thousandths).map_or(Self::FULL, |n| Self(n).min(Self::FULL))
    }

    /// The strength in thousandths, 0 to 1 000.
    #[must_use]
    pub const fn thousandths(self) -> u16 {
        self.0
    }

    /// `full`, shortened towards `least`: `least + (full - least) × (1 - strength)`, as Envoy's scaled timeouts. Never
    /// below `least`, never above `full`; where `least` is the longer of the two, there is nothing to shorten.
    #[must_use]
    pub fn scaled(self, full: Bound, least: Bound) -> Bound {
        let give = full.get().saturating_sub(least.get());
        let left: Duration = give * u32::from(Self::FULL.0 - self.0) / u32::from(Self::FULL.0);
        // INVARIANT: `left <= full - least`, so the sum lies between two bounds and is one itself.
        Bound::try_from(least.get() + left).map_or(full, |scaled| scaled.min(full))
    }
}

/// The result of an observation: the level, how hard it is enforced, and because of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    /// The level.
    pub level: Level,
    /// None in normal; full where a rate sheds; else as far as the worst signal is on its way from the tight to the shed mark.
    pub strength: Strength,
    /// The worst signal; in shed that which the level is owed to.
    pub signal: Signal,
}

impl Pressure {
    /// `full` as it applies at this pressure; see [`Strength::scaled`].
    #[must_use]
    pub fn scaled(self, full: Bound, least: Bound) -> Bound {
        self.strength.scaled(full, least)
    }

    /// Why a new connection is refused, if it is.
    #[must_use]
    pub fn refusal(self) -> Option<Refusal> {
        match self.level {
            Level::Normal | Level::Tight => None,
            Level::Shed => Some(Refusal { signal: self.signal }),
        }
    }
}

/// Why a new connection is refused: the pool sheds. Its text is for the log, not for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pool sheds load: {}", signal.complaint())]
pub struct Refusal {
    /// The signal that is worst.
    pub signal: Signal,
}

/// A pressure that the observer writes and every worker reads: one relaxed load where a connection is accepted or dialled.
///
/// Level, strength and signal are one word, so that a reader never sees half of one pressure and half of another.
#[derive(Debug, Default)]
pub struct LevelCell(AtomicU32);

impl LevelCell {
    /// Publishes a pressure.
    pub fn store(&self, pressure: Pressure) {
        let [low, high] = pressure.strength.0.to_le_bytes();
        let word = u32::from_le_bytes([pressure.level.code(), pressure.signal.code(), low, high]);
        self.0.store(word, Ordering::Relaxed);
    }

    /// The last pressure published; no pressure before the first.
    #[must_use]
    pub fn load(&self) -> Pressure {
        let [level, signal, low, high] = self.0.load(Ordering::Relaxed).to_le_bytes();
        Pressure {
            level: Level::ALL.get(usize::from(level)).copied().unwrap_or_default(),
            strength: Strength(u16::from_le_bytes([low, high])),
            signal: Signal::ALL.get(usize::from(signal)).copied().unwrap_or_default(),
        }
    }

    /// The level of the last pressure published.
    #[must_use]
    pub fn level(&self) -> Level {
        self.load().level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bound() -> impl Strategy<Value = Bound> {
        (1_u64..=315_360_000_000).prop_map(|ms| Bound::try_from(Duration::from_millis(ms)).unwrap())
    }

    #[test]
    fn deadlines_shrink_in_proportion() {
        let at = |strength| Strength(strength).scaled(Bound::secs(60), Bound::secs(10)).to_string();
        let table: String =
            [0, 1, 250, 500, 999, 1000].iter().map(|n| format!("{n:>4} {}\n", at(*n))).collect();
        insta::assert_snapshot!(table, @r"
           0 1m
           1 59s950ms
         250 47s500ms
         500 35s
         999 10s50ms
        1000 10s
        ");
        assert_eq!(
            Strength::FULL.scaled(Bound::secs(5), Bound::secs(10)),
            Bound::secs(5),
            "nothing to shorten"
        );
        assert_eq!(Strength::FULL.scaled(Bound::MAX, Bound::MIN), Bound::MIN);
        assert_eq!(Strength::NONE.scaled(Bound::MAX, Bound::MIN), Bound::MAX);
    }

    #[test]
    fn every_pressure_survives_the_cell() {
        let cell = LevelCell::default();
        assert_eq!(cell.load(), Pressure::default());
        for (level, signal) in Level::ALL.into_iter().flat_map(|l| Signal::ALL.map(|s| (l, s))) {
            for strength in [0, 1, 255, 256, 999, 1000].map(Strength::from_thousandths) {
                let pressure = Pressure { level, strength, signal };
                cell.store(pressure);
                assert_eq!((cell.load(), cell.level()), (pressure, level));
            }
        }
    }

    #[test]
    fn only_shedding_refuses_and_says_why() {
        let refusal = |level, signal| Pressure { level, strength: Strength::FULL, signal }.refusal();
        assert_eq!(refusal(Level::Tight, Signal::Connections), None);
        let text: String =
            Signal::ALL.iter().filter_map(|s| refusal(Level::Shed, *s)).map(|r| format!("{r}\n")).collect();
        insta::assert_snapshot!(text, @r"
        the pool sheds load: too many connections are open
        the pool sheds load: its connections grow too fast
        the pool sheds load: too many connections wait for a backend
        the pool sheds load: too many descriptors are in use
        the pool sheds load: too much memory is allocated
        ");
    }

    #[test]
    fn levels_are_numbers_for_a_metric() {
        let table: Vec<_> = Level::ALL.iter().map(|level| format!("{}={level}", level.code())).collect();
        insta::assert_snapshot!(table.join(" "), @"0=normal 1=tight 2=shed");
    }

    proptest! {
        #[test]
        fn scaled_deadlines_stay_between_and_shrink_with_the_strength(
            full in bound(), least in bound(), strengths in (0_u16..=1000, 0_u16..=1000)
        ) {
            let (weak, strong) = (strengths.0.min(strengths.1), strengths.0.max(strengths.1));
            let (long, short) = (Strength(weak).scaled(full, least), Strength(strong).scaled(full, least));
            prop_assert!(short <= long && long <= full);
            prop_assert!(short >= least.min(full));
        }
    }
}
