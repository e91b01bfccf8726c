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
use super::document::{Document, Place};
use super::file::RouteFile;
use super::finding::Finding;
use super::route;
use crate::certificates::{Registry, Selection};

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
#[derive(Debug)]
pub(super) struct Loaded {
    made: HashMap<TlsFile, RouteTls>,
    selection: Selection,
}

impl Loaded {
    /// Reads the files of all `routes`, but for certificates that the registry has; what is wrong with them is among `findings`.
    pub(super) fn of(
        routes: &[RouteFile],
        document: &Document<'_>,
        registry: &Arc<Registry>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let place = |index| route::place(document, index).key("tls");
        let with_tls = || routes.iter().enumerate().filter(|(_, file)| !file.tls.is_passthrough());
        // Sources that are wrong in themselves are told of where they are used.
        let sources = with_tls().filter_map(|(index, file)| {
            let terminate = file.tls.0.terminate.as_ref()?;
            Some(terminate.wanted(&place(index).key("terminate")).ok()?.sources)
        });
        let selection = Selection::read(registry, &sources.flatten().collect());
        let mut loaded = Self { made: HashMap::new(), selection };
        for (index, file) in with_tls() {
            if loaded.made.contains_key(&file.tls) {
                loaded.is_also_of(file, &place(index));
            } else {
                loaded.make(file, &place(index), findings);
            }
        }
        loaded
    }

    /// Another route has the TLS of one before it.
    fn is_also_of(&self, file: &RouteFile, place: &Place<'_, '_>) {
        let wanted = file.tls.0.terminate.as_ref().map(|file| file.wanted(&place.key("terminate")));
        if let Some(Ok(wanted)) = wanted {
            self.selection.store(wanted, file.name.shared());
        }
    }

    fn make(&mut self, file: &RouteFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
        let TlsTable { terminate, reencrypt } = &file.tls.0;
        let name = file.name.shared();
        let terminate = terminate
            .as_ref()
            .map(|terminate| terminating((terminate, &name), &self.selection, &place.key("terminate")));
        let reencrypt = reencrypt.as_ref().map(|file| reencrypting(file, &place.key("reencrypt")));
        match (terminate.transpose(), reencrypt.transpose()) {
            (Ok(terminate), Ok(reencrypt)) => {
                let tls = RouteTls::default().terminate(terminate.map(Arc::new));
                self.made.insert(file.tls.clone(), tls.reencrypt(reencrypt.map(Arc::new)));
            }
            (one, other) => {
                findings.extend(one.err().into_iter().flatten());
                findings.extend(other.err());
            }
        }
    }

    /// What a route does with TLS. One whose files could not be read is not going to be in force.
    pub(super) fn of_route(&self, file: &RouteFile) -> RouteTls {
        self.made.get(&file.tls).cloned().unwrap_or_default()
    }

    /// The certificates that all of them ask for.
    pub(super) fn into_selection(self) -> Selection {
        self.selection
    }
}
