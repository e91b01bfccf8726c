//! A member of a group, as it is written: a target, or a name that stands for members; by itself, or in a table that says more.

use std::fmt;

use proxy_upstream::{Discovery, MemberOptions, NameOptions, Target, Weight};
use proxy_values::Whole;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A member of a group.
#[derive(Debug)]
pub(in crate::config) struct MemberFile {
    pub(super) to: To,
    weight: Option<Weight>,
    priority: Option<Level>,
    pub(super) backup: bool,
}

/// Where a member is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) enum To {
    /// There.
    Target(Target),
    /// Where a name server says, of any number of members.
    Name(Discovery),
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => target.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A level of priority.
type Level = Whole<0, 255>;

/// The table form.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where it is: a target, as a route has it, or a name that stands for members.
    to: To,
    /// How much it gets of the group's connections, against the weights of the others, from 0 to 256. 0: nobody is taken there, unless
    /// no other is left. It can be changed while the proxy runs (`smartproxy target weight`). SRV records say it themselves.
    /// Default 1.
    #[serde(default)]
    weight: Option<Weight>,
    /// Its level, from 0 to 255: members of a higher number are used where too few of the lower ones may be. SRV
    /// records say it themselves. Default 0.
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
    /// The member, if it is one that is listed.
    pub(super) fn listed(&self) -> Option<MemberOptions> {
        let To::Target(target) = &self.to else { return None };
        let member = MemberOptions::new(target.clone());
        Some(member.weight(self.weight()).priority(self.priority()).backup(self.backup))
    }

    /// The name, if it is one that stands for members.
    pub(super) fn name(&self) -> Option<NameOptions> {
        let To::Name(name) = &self.to else { return None };
        let name = NameOptions::new(name.clone());
        Some(name.weight(self.weight()).priority(self.priority()).backup(self.backup))
    }

    pub(super) fn weight(&self) -> Weight {
        self.weight.unwrap_or(one())
    }

    fn priority(&self) -> u8 {
        self.priority.map_or(0, |level| u8::try_from(level.get()).unwrap_or(u8::MAX))
    }

    /// The keys that say what SRV records say.
    pub(super) fn said_by_records(&self) -> impl Iterator<Item = &'static str> {
        let is_service = matches!(self.to, To::Name(Discovery::Services(_)));
        let written = [("weight", self.weight.is_some()), ("priority", self.priority.is_some())];
        written.into_iter().filter(move |(_, written)| is_service && *written).map(|(key, _)| key)
    }
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Where)
    }
}

struct Where;

impl<'de> Visitor<'de> for Where {
    type Value = To;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target such as \"10.0.0.1:3000\", \"unix:/run/app.sock\" or { host = \"10.0.0.1\", port = 3000 }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<To, E> {
        if Discovery::is_meant(text) {
            return text.parse().map(To::Name).map_err(E::custom);
        }
        text.parse().map(To::Target).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<To, A::Error> {
        Target::deserialize(MapAccessDeserializer::new(map)).map(To::Target)
    }
}

impl JsonSchema for To {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "To".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Target::json_schema(generator)
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
        let to = Where.visit_str(text)?;
        Ok(MemberFile { to, weight: None, priority: None, backup: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MemberFile, A::Error> {
        let Table { to, weight, priority, backup } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(MemberFile { to, weight, priority, backup })
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
            "description": "A member of a group: a target, or a name that stands for members (\"srv+\" and a service, or \
                \"dns+\", a host and a port); by itself, or in a table that says more.",
            "examples": ["10.0.0.1:443", "unix:/run/app.sock", "srv+_pg._tcp.example", "dns+web.example:80"],
            "anyOf": [{ "type": "string", "minLength": 1 }, table],
        })
    }
}
