//! TLS of a route: how it is written, and the certificates that are read for it.

mod certificate;
mod reencrypt;
mod terminate;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use proxy_dataplane::settings::RouteTls;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use self::reencrypt::{ReencryptFile, reencrypting};
use self::terminate::{TerminateFile, terminating};
use super::document::Document;
use super::file::RouteFile;
use super::finding::Finding;
use super::route;

/// What a route does with TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TlsTable {
    /// The client's TLS ends here. Without it, it passes through.
    terminate: Option<TerminateFile>,
    /// TLS is spoken to the backends. Without it, they get what the client says: as it is where its TLS passes through, and in the
    /// clear where it ends here.
    reencrypt: Option<ReencryptFile>,
}

/// What a route does with TLS, as it is written: `"passthrough"`, or a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct TlsFile(TlsTable);

impl TlsFile {
    /// Whether what a client says passes through as it is.
    pub(super) fn is_passthrough(&self) -> bool {
        self.0 == TlsTable::default()
    }
}

impl<'de> Deserialize<'de> for TlsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = TlsFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"passthrough\", or a table with `terminate`, `reencrypt` or both")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TlsFile, E> {
        match text {
            "passthrough" => Ok(TlsFile::default()),
            other => Err(E::custom(format_args!(
                "\"{other}\" is not what TLS can be: write \"passthrough\", or a table with `terminate`, `reencrypt` or both"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TlsFile, A::Error> {
        TlsTable::deserialize(MapAccessDeserializer::new(map)).map(TlsFile)
    }
}

impl JsonSchema for TlsFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tls".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<TlsTable>();
        json_schema!({ "anyOf": [{ "const": "passthrough", "type": "string" }, table] })
    }
}

/// The TLS of all routes, each kind once: routes that say the same share what is made of it.
#[derive(Debug, Default)]
pub(super) struct Loaded(HashMap<TlsFile, RouteTls>);

impl Loaded {
    /// Reads the files of all `routes`; what is wrong with them is among `findings`.
    pub(super) fn of(routes: &[RouteFile], document: &Document<'_>, findings: &mut Vec<Finding>) -> Self {
        let mut loaded = Self::default();
        for (index, file) in routes.iter().enumerate() {
            if file.tls.is_passthrough() || loaded.0.contains_key(&file.tls) {
                continue;
            }
            let place = route::place(document, index).key("tls");
            let TlsTable { terminate, reencrypt } = &file.tls.0;
            let terminate = terminate.as_ref().map(|file| terminating(file, &place.key("terminate")));
            let reencrypt = reencrypt.as_ref().map(|file| reencrypting(file, &place.key("reencrypt")));
            match (terminate.transpose(), reencrypt.transpose()) {
                (Ok(terminate), Ok(reencrypt)) => {
                    let tls = RouteTls::default().terminate(terminate.map(Arc::new));
                    loaded.0.insert(file.tls.clone(), tls.reencrypt(reencrypt.map(Arc::new)));
                }
                (one, other) => {
                    findings.extend(one.err());
                    findings.extend(other.err());
                }
            }
        }
        loaded
    }

    /// What a route does with TLS. One whose files could not be read is not going to be in force.
    pub(super) fn of_route(&self, file: &RouteFile) -> RouteTls {
        self.0.get(&file.tls).cloned().unwrap_or_default()
    }
}
