//! A limit that may be switched off.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use proxy_dataplane::settings::Connections;

/// A limit that may be switched off: `100` or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// There is no limit.
    Off,
    /// There may be so many.
    At(Connections),
}

impl Cap {
    /// The number, if there is a limit.
    #[must_use]
    pub const fn number(self) -> Option<Connections> {
        match self {
            Self::Off => None,
            Self::At(number) => Some(number),
        }
    }
}

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrOff;

        impl Visitor<'_> for NumberOrOff {
            type Value = Cap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {}, or \"off\"", u32::MAX)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Cap, E> {
                let whole = u32::try_from(number).ok().and_then(Connections::new);
                whole.map(Cap::At).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Cap, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Cap, E> {
                if word == "off" { Ok(Cap::Off) } else { Err(E::invalid_type(Unexpected::Str(word), &self)) }
            }
        }

        deserializer.deserialize_any(NumberOrOff)
    }
}

impl JsonSchema for Cap {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NumberOrOff".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "integer", "minimum": 1, "maximum": u32::MAX }, { "const": "off" }] })
    }
}
