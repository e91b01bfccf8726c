//! Certificates and keys that are trusted as such: how they are written.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proxy_tls::Pins;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::document::Place;
use super::super::finding::Finding;
use super::certificate::pem;

/// One pin: a file in PEM, or `sha256/` and the hash of a public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
enum PinFile {
    File(Box<Path>),
    Key([u8; 32]),
}

impl TryFrom<String> for PinFile {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let Some(hash) = text.strip_prefix("sha256/") else { return Ok(Self::File(Path::new(&text).into())) };
        let bytes = STANDARD.decode(hash).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self::Key)
            .ok_or("behind \"sha256/\" there have to be 32 bytes in base64, which are 44 characters")
    }
}

/// One, or several of which any is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PinsFile(Vec<PinFile>);

impl PinsFile {
    /// What they are.
    pub(super) fn read(&self, place: &Place<'_, '_>) -> Result<Pins, Finding> {
        let mut pins = Pins::default();
        for pin in &self.0 {
            pins = pins.and(match pin {
                PinFile::Key(hash) => Pins::of_key(*hash),
                PinFile::File(path) => Pins::from_pem(&pem(path, place)?).map_err(|error| {
                    Finding::new(place.span(), format!("{} cannot be used: {error}", path.display()))
                })?,
            });
        }
        Ok(pins)
    }
}

impl<'de> Deserialize<'de> for PinsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = PinsFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file, \"sha256/\" and the hash of a public key in base64, or a list of these")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PinsFile, E> {
        let pin = PinFile::try_from(text.to_owned()).map_err(E::custom)?;
        Ok(PinsFile(vec![pin]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PinsFile, A::Error> {
        let mut pins = Vec::new();
        while let Some(pin) = list.next_element()? {
            pins.push(pin);
        }
        Ok(PinsFile(pins))
    }
}

impl JsonSchema for PinsFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pins".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}
