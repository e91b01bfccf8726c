//! The written form of a source: a word, or a list.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::{Source, SourceNet, SourcePool};

const EXPECTED: &str =
    "a list of addresses and networks such as [\"192.0.2.10\", \"2001:db8::/64\"], \"client\" or \"auto\"";

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Source, E> {
        match word {
            "auto" => Ok(Source::Auto),
            "client" => Ok(Source::Client),
            address if address.parse::<SourceNet>().is_ok() => {
                Err(E::custom(format!("source addresses are a list: write [\"{address}\"]")))
            }
            _ => Err(E::custom(format!("expected {EXPECTED}, found `{word}`"))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Source, A::Error> {
        let mut sources = Vec::new();
        while let Some(source) = list.next_element::<SourceNet>()? {
            sources.push(source);
        }
        SourcePool::new(sources).map(|pool| Source::Pool(Arc::new(pool))).map_err(A::Error::custom)
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Source {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let net = generator.subschema_for::<SourceNet>();
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "enum": ["auto", "client"] },
                { "type": "array", "items": net, "minItems": 1 }
            ],
            "description": EXPECTED
        })
    }
}
