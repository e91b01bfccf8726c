//! Where a route takes its connections: a list of targets, or a group by its name.

use std::fmt;
use std::sync::Arc;

use proxy_upstream::{Discovery, Target};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::GroupName;

/// Where a route takes its connections.
#[derive(Debug)]
pub(in crate::config) enum ForwardFile {
    /// To these targets, which are a group of the route's own.
    Targets(Arc<[Target]>),
    /// To a group that has a name.
    Group(GroupName),
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = ForwardFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ForwardFile, E> {
        if let Some(name) = text.strip_prefix('@') {
            return name.parse().map(ForwardFile::Group).map_err(E::custom);
        }
        // What could be a group's name; else it is one target, or several, that should be a list.
        match text.parse::<GroupName>() {
            Ok(_) if text.parse::<Target>().is_err() => Err(E::custom(format_args!(
                "\"{text}\" is neither a list of targets nor a group: write \"@{text}\" for the group of that name"
            ))),
            Ok(_) | Err(_) => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ForwardFile, A::Error> {
        let mut targets = Vec::with_capacity(list.size_hint().unwrap_or_default().min(LIKELY));
        while let Some(Listed(target)) = list.next_element()? {
            targets.push(target);
        }
        Ok(ForwardFile::Targets(targets.into()))
    }
}

/// Targets that there is room for at once: what a list says of its length is not believed beyond that.
const LIKELY: usize = 1024;

impl<'de> Deserialize<'de> for ForwardFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// A target of a list, where somebody may have written a group.
struct Listed(Target);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOfThem).map(Self)
    }
}

struct OneOfThem;

impl<'de> Visitor<'de> for OneOfThem {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target such as \"10.0.0.1:3000\", \"unix:/run/app.sock\" or { host = \"10.0.0.1\", port = 3000 }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Target, E> {
        if text.starts_with('@') {
            let error = format_args!(
                "\"{text}\" is a group, and a list has targets alone: write forward = \"{text}\""
            );
            return Err(E::custom(error));
        }
        if Discovery::is_meant(text) {
            let error = format_args!(
                "\"{text}\" is a name that stands for members: it is one of `members` in [groups.NAME], which a route is taken to \
                 by forward = \"@NAME\""
            );
            return Err(E::custom(error));
        }
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        Target::deserialize(serde::de::value::MapAccessDeserializer::new(map))
    }
}

impl JsonSchema for ForwardFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Forward".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let target = generator.subschema_for::<Target>();
        // What is said of lists holds for lists alone, and the pattern for text.
        json_schema!({
            "description": "The targets, or \"@NAME\" for the group of that name.",
            "type": ["array", "string"],
            "items": target,
            "minItems": 1,
            "pattern": "^@[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        })
    }
}
