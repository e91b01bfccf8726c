//! A member of a group, as it is written: a target, or a table that says more of one.

use std::fmt;

use proxy_upstream::{MemberOptions, Target, Weight};
use proxy_values::Whole;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A member of a group.
#[derive(Debug)]
pub(in crate::config) struct MemberFile {
    pub(super) to: Target,
    pub(super) weight: Weight,
    priority: Level,
    pub(super) backup: bool,
}

/// A level of priority.
type Level = Whole<0, 255>;

/// The table form.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where it is: a target, as a route has it.
    to: Target,
    /// How much it gets of the group's connections, against the weights of the others, from 0 to 256. 0: nobody is taken there, unless
    /// no other is left. It can be changed while the proxy runs (`smartproxy target weight`). Default 1.
    #[serde(default = "one")]
    weight: Weight,
    /// Its level, from 0 to 255: members of a higher number are used where too few of the lower ones may be. Default 0.
    #[serde(default)]
    priority: Option<Level>,
    /// Whether it is used only where no other member of any level may be. Default false.
    #[serde(default)]
    backup: bool,
}

const fn one() -> Weight {
    Weight::nearest(1)
}

impl MemberFile {
    pub(super) fn resolved(&self) -> MemberOptions {
        let priority = u8::try_from(self.priority.get()).unwrap_or(u8::MAX);
        MemberOptions::new(self.to.clone()).weight(self.weight).priority(priority).backup(self.backup)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = MemberFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member such as \"10.0.0.1:3000\" or { to = \"10.0.0.1:3000\", weight = 2 }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<MemberFile, E> {
        if text.starts_with('@') {
            return Err(E::custom(format_args!(
                "\"{text}\" is a group, and the members of a group are targets"
            )));
        }
        let to = text.parse().map_err(E::custom)?;
        Ok(MemberFile { to, weight: one(), priority: Level::nearest(0), backup: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MemberFile, A::Error> {
        let Table { to, weight, priority, backup } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(MemberFile { to, weight, priority: priority.unwrap_or(Level::nearest(0)), backup })
    }
}

impl<'de> Deserialize<'de> for MemberFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for MemberFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Member".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = Table::json_schema(generator);
        json_schema!({
            "description": "A member of a group: a target, or a table that says more of one.",
            "examples": ["10.0.0.1:443", "unix:/run/app.sock"],
            "anyOf": [{ "type": "string", "minLength": 1 }, table],
        })
    }
}
