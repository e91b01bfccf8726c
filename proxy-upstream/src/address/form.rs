//! The written form of a target, for serde and for schemars: a string, or a table of `host` and `port`.
//!
//! By visitors and not by an untagged enum, which would lose the position of an error inside the table.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{Host, Target, TargetPort};

/// The table form. A host needs no brackets here.
#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Table {
    /// An address or a name. An IPv6 address needs no brackets.
    #[cfg_attr(feature = "schemars", schemars(with = "String"))]
    host: Host,
    /// The port, or `"preserve"` for the port the client came to.
    port: TargetPort,
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target such as \"10.0.0.1:3000\", \"unix:/run/app.sock\" or { host = \"10.0.0.1\", port = 3000 }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Target, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        let Table { host, port } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Target::Tcp { host, port })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Name;

impl Visitor<'_> for Name {
    type Value = Host;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address or a name of a machine")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Host, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name)
    }
}

struct Port;

impl Visitor<'_> for Port {
    type Value = TargetPort;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port from 1 to 65535, or \"preserve\"")
    }

    fn visit_i64<E: Error>(self, port: i64) -> Result<TargetPort, E> {
        TargetPort::try_from(port).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, port: u64) -> Result<TargetPort, E> {
        self.visit_i64(i64::try_from(port).unwrap_or(i64::MAX))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TargetPort, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for TargetPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Port)
    }
}

#[cfg(feature = "schemars")]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Table, Target, TargetPort};

    impl JsonSchema for Target {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Target".into()
        }

        fn schema_id() -> std::borrow::Cow<'static, str> {
            "proxy_upstream::Target".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let table = Table::json_schema(generator);
            json_schema!({
                "description": "A backend: \"address:port\", \"[IPv6 address]:port\", \"name:port\", \"unix:/path\", \
                    or a table of host and port. In place of a port goes \"preserve\" for the port the client came to.",
                "examples": ["127.0.0.1:3000", "[::1]:3000", "backend.internal:preserve", "unix:/run/app.sock"],
                "anyOf": [{ "type": "string", "minLength": 1 }, table],
            })
        }
    }

    impl JsonSchema for TargetPort {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "TargetPort".into()
        }

        fn schema_id() -> std::borrow::Cow<'static, str> {
            "proxy_upstream::TargetPort".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A port from 1 to 65535, or \"preserve\" for the port the client came to.",
                "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "const": "preserve" }],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn read(json: &str) -> Result<Target, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_string_and_a_table_are_the_same_target() {
        assert_eq!(read(r#""10.0.0.1:80""#), read(r#"{"host": "10.0.0.1", "port": 80}"#));
        assert_eq!(read(r#""[::1]:80""#), read(r#"{"host": "::1", "port": "80"}"#));
        assert_eq!(read(r#""db:preserve""#), read(r#"{"port": "preserve", "host": "db"}"#));
    }

    #[test]
    fn what_is_neither_says_what_was_expected() {
        assert_snapshot!(read("3000").unwrap_err(), @r#"invalid type: integer `3000`, expected a target such as "10.0.0.1:3000", "unix:/run/app.sock" or { host = "10.0.0.1", port = 3000 } at line 1 column 4"#);
        assert_snapshot!(read(r#"{"host": "a"}"#).unwrap_err(), @"missing field `port` at line 1 column 13");
        assert_snapshot!(read(r#"{"host": "a", "prot": 1}"#).unwrap_err(), @"unknown field `prot`, expected `host` or `port` at line 1 column 20");
        assert_snapshot!(read(r#"{"host": "a", "port": 0}"#).unwrap_err(), @r#"port 0 can not be connected to: write a port from 1 to 65535, or "preserve" at line 1 column 23"#);
        assert_snapshot!(read(r#"{"host": "a", "port": 18446744073709551615}"#).unwrap_err(), @"port 9223372036854775807 does not exist: ports run from 1 to 65535 at line 1 column 42");
        assert_snapshot!(read(r#"{"host": "a", "port": true}"#).unwrap_err(), @r#"invalid type: boolean `true`, expected a port from 1 to 65535, or "preserve" at line 1 column 26"#);
        assert_snapshot!(read(r#"{"host": "a:80", "port": 1}"#).unwrap_err(), @r#""a:80" is not an IPv6 address at line 1 column 15"#);
        assert_snapshot!(read(r#"{"host": "[::1]", "port": 1}"#).unwrap_err(), @r#""[::1]" is not an IPv6 address at line 1 column 16"#);
    }
}
