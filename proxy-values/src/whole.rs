//! Numbers and sizes within a range that is part of their type.

use std::fmt;
use std::num::NonZeroU32;

#[cfg(feature = "schemars")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
#[cfg(feature = "serde")]
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::ByteSize;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number, if it is in range.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if MIN <= number && number <= MAX { Some(Self(number)) } else { None }
    }

    /// The number in range that is nearest.
    #[must_use]
    pub const fn nearest(number: u32) -> Self {
        const { assert!(MIN <= MAX, "a range is not empty") };
        Self(if number < MIN {
            MIN
        } else if number > MAX {
            MAX
        } else {
            number
        })
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MAX: u32> Whole<1, MAX> {
    /// The number, which is not zero.
    #[must_use]
    pub const fn non_zero(self) -> NonZeroU32 {
        match NonZeroU32::new(self.0) {
            Some(number) => number,
            // INVARIANT: it is 1 at least.
            None => NonZeroU32::MIN,
        }
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "serde")]
impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MIN: u32, const MAX: u32>;

        impl<const MIN: u32, const MAX: u32> Visitor<'_> for Number<MIN, MAX> {
            type Value = Whole<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                let whole = u32::try_from(number).ok().and_then(Whole::new);
                whole.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(feature = "schemars")]
impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("WholeFrom{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A number of bytes from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size<const MIN: usize, const MAX: usize>(ByteSize);

impl<const MIN: usize, const MAX: usize> Size<MIN, MAX> {
    /// A size of `kib` times 1 024 bytes, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if it is out of range.
    #[must_use]
    pub const fn kib(kib: usize) -> Self {
        let size = ByteSize::kib(kib);
        assert!(MIN <= size.bytes() && size.bytes() <= MAX, "a size is in its range");
        Self(size)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0.bytes()
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Size<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "serde")]
impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = ByteSize::deserialize(deserializer)?;
        if (MIN..=MAX).contains(&size.bytes()) {
            return Ok(Self(size));
        }
        let (least, most) = (in_bytes(MIN), in_bytes(MAX));
        Err(D::Error::custom(format_args!("expected a size from {least} to {most}, found {size}")))
    }
}

/// A constant of this module as a size prints: `64KiB`.
#[cfg(feature = "serde")]
fn in_bytes(bytes: usize) -> String {
    format!("{bytes}B").parse::<ByteSize>().map_or_else(|_| format!("{bytes}B"), |size| size.to_string())
}

#[cfg(feature = "schemars")]
impl<const MIN: usize, const MAX: usize> JsonSchema for Size<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("SizeFrom{MIN}To{MAX}").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ByteSize::json_schema(generator)
    }
}
