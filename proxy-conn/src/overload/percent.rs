//! A share that cannot be out of range.

use std::fmt;

use proxy_core::Bound;

/// A share in per cent, 1 to 100: never nothing, and never more than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// The least share.
    pub const MIN: Self = Self(1);
    /// All of it.
    pub const MAX: Self = Self(100);

    /// A share of `percent` per cent, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if `percent` is not from 1 to 100.
    #[must_use]
    pub const fn new(percent: u8) -> Self {
        assert!(percent >= 1 && percent <= 100, "a share is from 1 to 100 per cent");
        Self(percent)
    }

    /// The number of per cent.
    #[must_use]
    pub const fn points(self) -> u8 {
        self.0
    }

    /// This share less `points` percentage points, at least 1 %.
    #[must_use]
    pub fn less(self, points: Self) -> Self {
        Self(self.0.saturating_sub(points.0).max(Self::MIN.0))
    }

    /// This share of `whole`, rounded down.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        let part = whole as u128 * u128::from(self.0) / 100;
        usize::try_from(part).unwrap_or(whole)
    }

    /// This share of `whole`, at least [`Bound::MIN`].
    #[must_use]
    pub fn of_bound(self, whole: Bound) -> Bound {
        Bound::try_from(whole.get() * u32::from(self.0) / 100).unwrap_or(Bound::MIN)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A share out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a percentage from 1 to 100, found {0}")]
pub struct PercentError(i64);

impl TryFrom<i64> for Percent {
    type Error = PercentError;

    fn try_from(percent: i64) -> Result<Self, PercentError> {
        u8::try_from(percent).ok().filter(|n| (1..=100).contains(n)).map(Self).ok_or(PercentError(percent))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0)
    }
}

proxy_values::number_form!(Percent, "Percent", 1, 100, "a percentage");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_the_range() {
        let [zero, one, hundred, over] = [0, 1, 100, 101].map(Percent::try_from);
        assert_eq!((one, hundred), (Ok(Percent::MIN), Ok(Percent::MAX)));
        insta::assert_snapshot!(zero.unwrap_err(), @"expected a percentage from 1 to 100, found 0");
        insta::assert_snapshot!(over.unwrap_err(), @"expected a percentage from 1 to 100, found 101");
        insta::assert_snapshot!(Percent::new(80), @"80%");
        assert!(Percent::try_from(-1).is_err() && Percent::try_from(i64::MAX).is_err());
    }

    #[test]
    fn shares_round_down_and_never_leave_the_range() {
        let five = Percent::new(5);
        assert_eq!([0, 19, 20, 39, 40, 1000].map(|n| five.of(n)), [0, 0, 1, 1, 2, 50]);
        assert_eq!(Percent::MAX.of(usize::MAX), usize::MAX);
        assert_eq!(five.of_bound(Bound::secs(60)), Bound::secs(3));
        assert_eq!(five.of_bound(Bound::MIN), Bound::MIN);
        assert_eq!(Percent::MAX.of_bound(Bound::MAX), Bound::MAX);
        assert_eq!(Percent::new(80).less(Percent::new(10)), Percent::new(70));
        assert_eq!(five.less(Percent::new(10)), Percent::MIN);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_written_as_a_number() {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, I64Deserializer};
        let read = |n: i64| -> Result<Percent, Error> {
            let number: I64Deserializer<Error> = n.into_deserializer();
            serde::Deserialize::deserialize(number)
        };
        assert_eq!(read(80), Ok(Percent::new(80)));
        insta::assert_snapshot!(read(0).unwrap_err(), @"expected a percentage from 1 to 100, found 0");
    }
}
