//! An amount of memory of a whole process. [`ByteSize`](proxy_core::ByteSize) is for one connection, and ends at 1 GiB.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};

/// Memory of a process, from 16 MiB to 1 TiB. Written as a number and a unit: `512MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(u64);

/// Why a text is not [`Memory`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It is not a number and a unit that is known.
    #[error(
        "expected a size in MiB, GiB or TiB (powers of 1024) such as \"512MiB\" or \"2GiB\", found `{0}`"
    )]
    Malformed(String),
    /// It is out of range.
    #[error("expected a size from 16MiB to 1TiB, found {0}")]
    OutOfRange(String),
}

/// What an idle process has, more or less.
const LEAST: u64 = 16 << 20;
const MOST: u64 = 1 << 40;

impl Memory {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Memory {
    type Err = MemoryError;

    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text.strip_suffix(unit).unwrap_or_default();
        let factor = match unit {
            "MiB" if !number.is_empty() => 1 << 20,
            "GiB" if !number.is_empty() => 1 << 30,
            "TiB" if !number.is_empty() => 1 << 40,
            _ => return Err(MemoryError::Malformed(text.to_owned())),
        };
        // INVARIANT: digits alone, so that the only way to fail is to be too large.
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        let fits = bytes.filter(|bytes| (LEAST..=MOST).contains(bytes));
        fits.map(Self).ok_or_else(|| MemoryError::OutOfRange(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Memory;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"512MiB\" or \"2GiB\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Memory, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Memory {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Memory".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(MiB|GiB|TiB)$" })
    }
}
