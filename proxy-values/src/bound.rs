//! Durations and sizes that cannot hold an impossible value.
//!
//! A [`Bound`] is what every deadline in SmartProxy is made of: it is never zero and never absent. There is
//! deliberately no "infinite": a bound may be very long, but somebody wrote it down.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

/// A duration that bounds something: whole milliseconds, at least one and at most ten years of them.
///
/// Written as a number and a unit (`500ms`, `30s`, `5m`, `1h`, `7d`), or several of them, largest first (`1h30m`).
///
/// Eight bytes, also as an `Option`: every connection carries several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bound(NonZeroU64);

/// The milliseconds of ten years.
const MOST: u64 = 10 * 365 * 86_400_000;

impl Bound {
    /// The shortest bound: below a millisecond no timer of ours fires in time.
    pub const MIN: Self = Self(NonZeroU64::MIN);
    /// The longest bound, ten years: far beyond any process, and far from overflowing clock arithmetic.
    pub const MAX: Self = Self::millis(MOST);

    /// A bound of `secs` seconds, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if `secs` is 0 or over ten years.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        assert!(secs <= MOST / 1000, "a bound is from 1 ms to ten years");
        Self::millis(secs * 1000)
    }

    /// A bound of `millis` milliseconds, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if `millis` is 0 or over ten years.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        assert!(millis > 0 && millis <= MOST, "a bound is from 1 ms to ten years");
        // The default is never taken: zero was refused.
        Self(match NonZeroU64::new(millis) {
            Some(millis) => millis,
            None => NonZeroU64::MIN,
        })
    }

    /// The duration itself.
    #[must_use]
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0.get())
    }

    /// This bound `factor` times as long, at most [`Bound::MAX`].
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        let factor = NonZeroU64::from(NonZeroU32::new(factor).unwrap_or(NonZeroU32::MIN));
        Self(self.0.saturating_mul(factor)).min(Self::MAX)
    }
}

/// Of a duration that is no whole number of milliseconds, the rest is dropped.
impl TryFrom<Duration> for Bound {
    type Error = BoundError;

    fn try_from(duration: Duration) -> Result<Self, BoundError> {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match NonZeroU64::new(millis) {
            None => Err(BoundError::TooShort),
            Some(_) if millis > MOST => Err(BoundError::TooLong),
            Some(millis) => Ok(Self(millis)),
        }
    }
}

/// Why a text or a duration is not a [`Bound`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundError {
    /// Nothing was written.
    #[error("expected a duration such as \"30s\", found nothing")]
    Empty,
    /// A number without a unit.
    #[error("a duration needs a unit (ms, s, m, h, d): did you mean \"{0}s\"?")]
    NoUnit(String),
    /// A unit that is not known.
    #[error("unknown unit `{0}` in a duration: expected ms, s, m, h or d")]
    UnknownUnit(String),
    /// A word for no end.
    #[error("`{0}` is no duration: write one, such as \"30s\" or \"12h\"; the longest is \"3650d\"")]
    Off(String),
    /// The same, where there is a word for it, which is another one.
    #[error("`{0}` is no duration: write \"off\"")]
    OffByAnotherName(String),
    /// Something that is not a number and a unit.
    #[error("expected a duration such as \"500ms\", \"30s\" or \"1h30m\", found `{0}`")]
    Malformed(String),
    /// Zero, or below a millisecond.
    #[error("a duration must be at least 1ms: every phase has a deadline, and zero is not one")]
    TooShort,
    /// Over ten years.
    #[error("a duration must be at most ten years (3650d)")]
    TooLong,
}

/// Words that elsewhere mean a time without an end.
const OFF: [&str; 9] =
    ["off", "never", "none", "no", "infinite", "infinity", "unlimited", "disabled", "forever"];

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        if text.is_empty() {
            return Err(BoundError::Empty);
        }
        if OFF.iter().any(|off| text.eq_ignore_ascii_case(off)) {
            return Err(BoundError::Off(text.to_owned()));
        }
        let malformed = || BoundError::Malformed(text.to_owned());
        let (mut rest, mut total, mut last_unit) = (text, Duration::ZERO, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            if number.is_empty() {
                return Err(malformed());
            }
            if unit.is_empty() {
                let whole = tail.is_empty() && rest.len() == text.len();
                return Err(if whole { BoundError::NoUnit(text.to_owned()) } else { malformed() });
            }
            let millis = millis_of(unit).ok_or_else(|| BoundError::UnknownUnit(unit.to_owned()))?;
            if millis >= last_unit {
                return Err(malformed());
            }
            let count: u64 = number.parse().map_err(|_| BoundError::TooLong)?;
            let part = count.checked_mul(millis).ok_or(BoundError::TooLong)?;
            total = total.checked_add(Duration::from_millis(part)).ok_or(BoundError::TooLong)?;
            (rest, last_unit) = (tail, millis);
        }
        Self::try_from(total)
    }
}

/// The units of a duration, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

fn millis_of(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis)
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.get()).finish()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.get();
        for (name, millis) in UNITS {
            if left >= millis {
                write!(f, "{}{name}", left / millis)?;
                left %= millis;
            }
        }
        Ok(())
    }
}

/// A number of bytes, at most 1 GiB: nothing that the proxy holds for one connection is larger.
///
/// Written as a number and a unit: `512B`, `64KiB`, `1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(usize);

impl ByteSize {
    /// The largest size, 1 GiB.
    pub const MAX: Self = Self(1 << 30);

    /// A size of `kib` times 1 024 bytes, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if it is over 1 GiB.
    #[must_use]
    pub const fn kib(kib: usize) -> Self {
        assert!(kib <= Self::MAX.0 / 1024, "a size is at most 1 GiB");
        Self(kib * 1024)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// Why a text is not a [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ByteSizeError {
    /// Not a number and a unit.
    #[error("expected a size such as \"512B\", \"64KiB\" or \"1MiB\", found `{0}`")]
    Malformed(String),
    /// A unit that is not known.
    #[error("unknown unit `{0}` in a size: expected B, KiB, MiB or GiB (powers of 1024)")]
    UnknownUnit(String),
    /// Over 1 GiB.
    #[error("a size must be at most 1GiB")]
    TooLarge,
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text.strip_suffix(unit).unwrap_or_default();
        if number.is_empty() || unit.is_empty() {
            return Err(ByteSizeError::Malformed(text.to_owned()));
        }
        let factor: usize = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(ByteSizeError::UnknownUnit(unit.to_owned())),
        };
        let size = number.parse::<usize>().ok().and_then(|n| n.checked_mul(factor));
        size.filter(|&s| s <= Self::MAX.0).map(Self).ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n % (1 << 30) == 0 => write!(f, "{}GiB", n >> 30),
            n if n > 0 && n % (1 << 20) == 0 => write!(f, "{}MiB", n >> 20),
            n if n > 0 && n % (1 << 10) == 0 => write!(f, "{}KiB", n >> 10),
            n => write!(f, "{n}B"),
        }
    }
}

/// Serde and schema for types that are written as one string.
#[macro_export]
#[doc(hidden)]
macro_rules! text_form {
    ($type:ty, $name:literal, $pattern:literal, $doc:literal) => {
        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($doc)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "schemars")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $doc })
            }
        }
    };
}

/// Serde and schema for types that are written as one whole number, and made from it by `TryFrom<i64>`.
#[macro_export]
#[doc(hidden)]
macro_rules! number_form {
    ($type:ty, $name:literal, $least:literal, $most:literal, $doc:literal) => {
        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <i64 as serde::Deserialize>::deserialize(deserializer)?;
                Self::try_from(number).map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schemars")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "integer", "minimum": $least, "maximum": $most, "description": $doc
                })
            }
        }
    };
}

text_form!(Bound, "Duration", r"^([0-9]+(ms|s|m|h|d))+$", "a duration such as \"30s\", \"5m\" or \"1h30m\"");
text_form!(ByteSize, "Size", r"^[0-9]+(B|KiB|MiB|GiB)$", "a size such as \"512B\", \"64KiB\" or \"1MiB\"");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_parse_and_print_back() {
        for text in ["1ms", "500ms", "30s", "5m", "1h", "7d", "1h30m", "1d2h3m4s5ms"] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Bound>().unwrap().to_string(), "1m30s");
        assert_eq!("3650d".parse::<Bound>().unwrap(), Bound::MAX);
    }

    #[test]
    fn impossible_durations_say_why() {
        let error = |text: &str| text.parse::<Bound>().unwrap_err().to_string();
        insta::assert_snapshot!(error(""), @r#"expected a duration such as "30s", found nothing"#);
        insta::assert_snapshot!(error("30"), @r#"a duration needs a unit (ms, s, m, h, d): did you mean "30s"?"#);
        insta::assert_snapshot!(error("30sec"), @"unknown unit `sec` in a duration: expected ms, s, m, h or d");
        insta::assert_snapshot!(error("off"), @r#"`off` is no duration: write one, such as "30s" or "12h"; the longest is "3650d""#);
        assert_eq!(error("Never").replace("Never", "off"), error("off"));
        insta::assert_snapshot!(error("soon"), @r#"expected a duration such as "500ms", "30s" or "1h30m", found `soon`"#);
        insta::assert_snapshot!(error("1s1h"), @r#"expected a duration such as "500ms", "30s" or "1h30m", found `1s1h`"#);
        insta::assert_snapshot!(error("1h30"), @r#"expected a duration such as "500ms", "30s" or "1h30m", found `1h30`"#);
        insta::assert_snapshot!(error("0s"), @"a duration must be at least 1ms: every phase has a deadline, and zero is not one");
        insta::assert_snapshot!(error("3651d"), @"a duration must be at most ten years (3650d)");
        insta::assert_snapshot!(error("99999999999999999999s"), @"a duration must be at most ten years (3650d)");
    }

    #[test]
    fn sizes_parse_and_print_back() {
        for text in ["0B", "512B", "64KiB", "1MiB", "1GiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        let error = |text: &str| text.parse::<ByteSize>().unwrap_err().to_string();
        insta::assert_snapshot!(error("64"), @r#"expected a size such as "512B", "64KiB" or "1MiB", found `64`"#);
        insta::assert_snapshot!(error("64kb"), @"unknown unit `kb` in a size: expected B, KiB, MiB or GiB (powers of 1024)");
        insta::assert_snapshot!(error("2GiB"), @"a size must be at most 1GiB");
    }

    proptest! {
        #[test]
        fn any_text_either_parses_or_says_why(text in "\\PC*") {
            if let Ok(bound) = text.parse::<Bound>() {
                prop_assert_eq!(bound.to_string().parse::<Bound>(), Ok(bound));
            }
            if let Ok(size) = text.parse::<ByteSize>() {
                prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
            }
        }

        #[test]
        fn every_bound_prints_back(millis in 1_u64..315_360_000_000) {
            let bound = Bound::try_from(Duration::from_millis(millis)).unwrap();
            prop_assert_eq!(bound.to_string().parse::<Bound>(), Ok(bound));
        }
    }
}
