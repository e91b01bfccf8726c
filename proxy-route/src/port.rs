//! Ports and ranges of ports, as a route names them: `443`, `8000-8010`. Not a listening address: a table only
//! says which ports, the caller says on which addresses.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub(crate) use set::PortSet;

mod set;

/// One port or a range of ports, both ends included.
///
/// Invariant: `1 <= first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text or a number is not a [`PortRange`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Nothing was written.
    #[error("a port is missing: write a port such as 443 or a range such as \"8000-8010\"")]
    Empty,
    /// A range lacks one of its ends (`80-`, `-80`).
    #[error("\"{text}\" lacks one end of its range: write both, such as \"8000-8010\"")]
    OpenRange {
        /// The whole text.
        text: String,
    },
    /// Something other than digits; signs and spaces are not taken either.
    #[error("\"{text}\" is not a port: write digits only, such as 443 or \"8000-8010\"")]
    NotDigits {
        /// The part that was to be a port.
        text: String,
    },
    /// Port 0 means "any free port" to a kernel, and nothing to a route.
    #[error("port 0 can not be routed: ports run from 1 to 65535")]
    Zero,
    /// A number beyond 65535, or a negative one.
    #[error("port {text} does not exist: ports run from 1 to 65535")]
    OutOfRange {
        /// The number as written.
        text: String,
    },
    /// The first port is greater than the last.
    #[error("port range {first}-{last} runs backwards: write \"{last}-{first}\"")]
    Reversed {
        /// The first port as written.
        first: u16,
        /// The last port as written.
        last: u16,
    },
}

impl PortRange {
    /// Every port there is.
    pub const ALL: Self = Self { first: 1, last: u16::MAX };

    /// The ports from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`PortError::Zero`] if either is 0, [`PortError::Reversed`] if `first > last`.
    pub fn new(first: u16, last: u16) -> Result<Self, PortError> {
        if first == 0 || last == 0 {
            return Err(PortError::Zero);
        }
        if first > last {
            return Err(PortError::Reversed { first, last });
        }
        Ok(Self { first, last })
    }

    /// The lowest port of the range.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port of the range, itself included.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` lies in the range.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The ports that lie in both ranges.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last)).ok()
    }
}

impl TryFrom<u16> for PortRange {
    type Error = PortError;

    fn try_from(port: u16) -> Result<Self, PortError> {
        Self::new(port, port)
    }
}

impl From<PortRange> for RangeInclusive<u16> {
    fn from(range: PortRange) -> Self {
        range.first..=range.last
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        match text.split_once('-') {
            None if text.is_empty() => Err(PortError::Empty),
            None => Self::try_from(port(text)?),
            Some(("", _) | (_, "")) => Err(PortError::OpenRange { text: text.to_owned() }),
            Some((first, last)) => Self::new(port(first)?, port(last)?),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A number of at most 16 bits. Stricter than `u16::from_str`, which takes a leading `+`.
fn port(text: &str) -> Result<u16, PortError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortError::NotDigits { text: text.to_owned() });
    }
    text.parse().map_err(|_| PortError::OutOfRange { text: text.to_owned() })
}

#[cfg(feature = "serde")]
mod form {
    //! A port is written as an integer, a range as a string; a string is taken for both.

    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, Visitor};
    use serde::ser::{Serialize, Serializer};

    use super::{PortError, PortRange};

    struct Port;

    impl Visitor<'_> for Port {
        type Value = PortRange;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a port from 1 to 65535, such as 443, or a range of ports, such as \"8000-8010\"")
        }

        fn visit_u64<E: Error>(self, port: u64) -> Result<PortRange, E> {
            u16::try_from(port)
                .map_err(|_| PortError::OutOfRange { text: port.to_string() })
                .and_then(PortRange::try_from)
                .map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, port: i64) -> Result<PortRange, E> {
            u16::try_from(port)
                .map_err(|_| PortError::OutOfRange { text: port.to_string() })
                .and_then(PortRange::try_from)
                .map_err(E::custom)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<PortRange, E> {
            text.parse().map_err(E::custom)
        }
    }

    impl<'de> Deserialize<'de> for PortRange {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Port)
        }
    }

    impl Serialize for PortRange {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.first == self.last {
                serializer.serialize_u16(self.first)
            } else {
                serializer.collect_str(self)
            }
        }
    }
}

#[cfg(feature = "schemars")]
crate::text::text_schema!(PortRange, "PortRange", {
    "description": "A port from 1 to 65535, or a range of ports with both ends included.",
    "examples": [443, "8000-8010"],
    "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": 65535 },
        { "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" },
    ],
});

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> PortRange {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> PortError {
        text.parse::<PortRange>().unwrap_err()
    }

    #[test]
    fn both_ends_of_the_port_space_parse() {
        assert_eq!(parse("1"), PortRange { first: 1, last: 1 });
        assert_eq!(parse("65535"), PortRange { first: 65_535, last: 65_535 });
        assert_eq!(parse("1-65535"), PortRange::ALL);
        assert_eq!(parse("8000-8010"), PortRange { first: 8000, last: 8010 });
        assert_eq!(parse("80-80"), parse("80"));
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert_snapshot!(refusal(""), @r#"a port is missing: write a port such as 443 or a range such as "8000-8010""#);
        assert_snapshot!(refusal("0"), @"port 0 can not be routed: ports run from 1 to 65535");
        assert_snapshot!(refusal("0-80"), @"port 0 can not be routed: ports run from 1 to 65535");
        assert_snapshot!(refusal("65536"), @"port 65536 does not exist: ports run from 1 to 65535");
        assert_snapshot!(refusal("80-65536"), @"port 65536 does not exist: ports run from 1 to 65535");
        assert_snapshot!(refusal("8010-8000"), @r#"port range 8010-8000 runs backwards: write "8000-8010""#);
        assert_snapshot!(refusal("80-"), @r#""80-" lacks one end of its range: write both, such as "8000-8010""#);
        assert_snapshot!(refusal("-80"), @r#""-80" lacks one end of its range: write both, such as "8000-8010""#);
        assert_snapshot!(refusal("+80"), @r#""+80" is not a port: write digits only, such as 443 or "8000-8010""#);
        assert_snapshot!(refusal(" 80"), @r#"" 80" is not a port: write digits only, such as 443 or "8000-8010""#);
        assert_snapshot!(refusal("80 "), @r#""80 " is not a port: write digits only, such as 443 or "8000-8010""#);
        assert_snapshot!(refusal("1-2-3"), @r#""2-3" is not a port: write digits only, such as 443 or "8000-8010""#);
        assert_snapshot!(refusal("https"), @r#""https" is not a port: write digits only, such as 443 or "8000-8010""#);
    }

    #[test]
    fn a_range_contains_both_its_ends_and_nothing_beyond() {
        let range = parse("80-90");
        assert!(range.contains(80) && range.contains(90));
        assert!(!range.contains(79) && !range.contains(91));
    }

    #[test]
    fn ranges_overlap_when_they_share_a_port() {
        assert_eq!(parse("80-90").overlap(parse("90-99")), Some(parse("90")));
        assert_eq!(parse("80-90").overlap(parse("91-99")), None);
    }

    proptest! {
        #[test]
        fn parse_undoes_display(first in 1..=u16::MAX, last in 1..=u16::MAX) {
            let range = PortRange::new(first.min(last), first.max(last)).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
