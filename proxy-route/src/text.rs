//! The written form of a pattern, for serde and for schemars: what `FromStr` and `Display` say, and no second
//! grammar beside them.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};

/// Reads a `T` from a string; `expected` finishes the sentence "invalid type: …, expected …".
pub(crate) struct Text<T> {
    expected: &'static str,
    read: PhantomData<T>,
}

impl<T> Text<T> {
    pub(crate) fn new(expected: &'static str) -> Self {
        Self { expected, read: PhantomData }
    }
}

impl<T> Visitor<'_> for Text<T>
where
    T: FromStr,
    T::Err: Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// `Serialize` and `Deserialize` through the string form.
macro_rules! text_form {
    ($type:ty, $expected:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::text::Text::new($expected))
            }
        }
    };
}

/// `JsonSchema` from a literal schema.
#[cfg(feature = "schemars")]
macro_rules! text_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!("proxy_route::", $name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use text_form;
#[cfg(feature = "schemars")]
pub(crate) use text_schema;
