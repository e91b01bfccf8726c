//! Another hop of the chain, as it is written: where its admin API is, or a table that names a token's file too.

use std::fmt;

use proxy_cli::place::Place;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{SocketPath, TokenPath};

/// Another hop of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopAt {
    /// Its admin API.
    pub at: HopPlace,
    /// Where its token is, if it wants one.
    pub token_file: Option<TokenPath>,
}

/// The table form.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where its admin API is: the absolute path of a socket, or an address and a port.
    at: HopPlace,
    /// A file with the token that it wants (its `[admin] token_file`): one line. It is read each time that the hop is asked, so a
    /// new token needs no reload.
    #[serde(default)]
    #[schemars(with = "TokenPath")]
    token_file: Option<TokenPath>,
}

/// Where a hop's admin API is: the absolute path of a socket, or an address and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopPlace(Place);

impl HopPlace {
    /// The place.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0
    }

    /// Whether it is a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        matches!(self.0, Place::Unix(_))
    }
}

impl fmt::Display for HopPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for HopPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place: Place = text.parse().map_err(|error: proxy_cli::place::PlaceError| error.to_string())?;
        // A relative path would mean another socket wherever the proxy is started.
        if let Place::Unix(path) = &place {
            path.to_str().ok_or("a path has to be UTF-8")?.parse::<SocketPath>()?;
        }
        Ok(Self(place))
    }
}

from_text!(HopPlace, "HopPlace", "^.+$", "the absolute path of a socket, or an address and a port");

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = HopAt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a hop such as \"/run/inner/admin.sock\" or { at = \"10.0.0.2:9000\", token_file = \"/etc/smartproxy/inner.token\" }",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HopAt, E> {
        Ok(HopAt { at: text.parse().map_err(E::custom)?, token_file: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HopAt, A::Error> {
        let Table { at, token_file } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(HopAt { at, token_file })
    }
}

impl<'de> Deserialize<'de> for HopAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for HopAt {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hop".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = Table::json_schema(generator);
        json_schema!({
            "description": "Another hop of the chain: where its admin API is, or a table that says where its token is, too.",
            "examples": ["/run/inner/admin.sock", "10.0.0.2:9000"],
            "anyOf": [{ "type": "string", "minLength": 1 }, table],
        })
    }
}
