//! The certificates of a route as they are written: `"auto"`, or a list.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::certificate::CertificatesFile;

/// The certificates of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SourcesFile {
    /// They are obtained for the names of the route.
    Auto,
    Listed(Vec<CertificatesFile>),
}

impl<'de> Deserialize<'de> for SourcesFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = SourcesFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"auto\", or a list such as [{ certificate = \"fullchain.pem\", key = \"privkey.pem\" }]",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SourcesFile, E> {
        match text {
            "auto" => Ok(SourcesFile::Auto),
            other => Err(E::custom(format_args!(
                "\"{other}\" is not what certificates can be: write \"auto\", or a list such as [{{ certificate = \"{other}\" }}]"
            ))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<SourcesFile, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(SourcesFile::Listed)
    }
}

impl JsonSchema for SourcesFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Certificates".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<CertificatesFile>>();
        json_schema!({ "anyOf": [{ "const": "auto", "type": "string" }, list] })
    }
}
