//! A time that may be none at all.

use std::fmt;
use std::str::FromStr;

use proxy_core::Bound;
use proxy_values::bound::BoundError;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// A time to wait, written as a duration; `"0s"` is none. Unlike a deadline, which is never zero, it may well be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delay(Option<Bound>);

impl Delay {
    /// How long; `None` for not at all.
    #[must_use]
    pub const fn get(self) -> Option<Bound> {
        self.0
    }
}

impl FromStr for Delay {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        match text.parse() {
            Ok(bound) => Ok(Self(Some(bound))),
            // Well written, and zero.
            Err(BoundError::TooShort) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Delay;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"5s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Delay, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_none_and_what_is_no_duration_is_neither() {
        for zero in ["0s", "0ms", "0h0s"] {
            assert_eq!(zero.parse(), Ok(Delay::default()), "{zero}");
        }
        assert_eq!("5s".parse::<Delay>().unwrap().get(), Some(Bound::secs(5)));
        for wrong in ["", "0", "5", "-1s", "1.5s", "never"] {
            assert!(wrong.parse::<Delay>().is_err(), "{wrong}");
        }
    }
}
