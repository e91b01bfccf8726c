//! TLS of a route: how it is written, and the certificates that are read for it.

mod certificate;
mod clients;
mod hop;
mod parameters;
mod pins;
mod reencrypt;
mod sources;
mod terminate;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use proxy_dataplane::settings::RouteTls;
use proxy_route::DomainPattern;
use proxy_tls::Hop;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub(super) use self::hop::{HopFile, check_listener, check_route};
use self::reencrypt::{ReencryptFile, reencrypting};
use self::terminate::{Around, TerminateFile, terminating};
use super::acme::{AcmeFile, Automatic};
use super::document::{Document, Place};
use super::file::{ListenerFile, RouteFile};
use super::finding::Finding;
use super::{listener, route};
use crate::certificates::{Registry, Selection};

pub(super) use self::certificate::{authorities, pem};

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

    /// Whether a client's TLS ends here, and it is offered this protocol.
    pub(super) fn terminates_with(&self, protocol: &str) -> bool {
        self.0.terminate.as_ref().is_some_and(|terminate| terminate.offers(protocol))
    }

    /// Whether it says that TLS is spoken to the backends.
    pub(super) fn reencrypts(&self) -> bool {
        self.0.reencrypt.is_some()
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
        let table = TlsTable::json_schema(generator);
        json_schema!({
            "description": "What a route does with TLS.",
            "examples": ["passthrough"],
            "anyOf": [{ "const": "passthrough", "type": "string" }, table],
        })
    }
}

/// The TLS of all routes and listeners, each kind once: those that say the same share what is made of it.
#[derive(Debug)]
pub(super) struct Loaded {
    made: HashMap<Kind, RouteTls>,
    hops: HashMap<HopFile, Arc<Hop>>,
    selection: Selection,
    /// Where certificates are presented that are obtained.
    automatic: Vec<Automatic>,
    /// What works, and is to be looked at.
    warnings: Vec<Finding>,
}

/// What TLS is made of: what is written, and the names of the route where its certificates are obtained for those.
type Kind = (TlsFile, Vec<DomainPattern>);

fn kind(file: &RouteFile) -> Kind {
    let terminate = file.tls.0.terminate.as_ref();
    let own = terminate.is_some_and(TerminateFile::is_for_domains);
    (file.tls.clone(), if own { file.matches.domains.clone() } else { Vec::new() })
}

impl Loaded {
    /// Reads the files of all `routes` and `listeners`, but for certificates that the registry has; what is wrong with them is among `findings`.
    pub(super) fn of(
        (listeners, routes): (&[ListenerFile], &[RouteFile]),
        acme: Option<&AcmeFile>,
        (document, registry): (&Document<'_>, &Arc<Registry>),
        findings: &mut Vec<Finding>,
    ) -> Self {
        let place = |index| route::place(document, index).key("tls");
        let with_tls = || routes.iter().enumerate().filter(|(_, file)| !file.tls.is_passthrough());
        // Sources that are wrong in themselves are told of where they are used.
        let sources = with_tls().filter_map(|(index, file)| {
            let terminate = file.tls.0.terminate.as_ref()?;
            let asked = terminate.asked(Around { file, acme }, &place(index).key("terminate"));
            Some(asked.ok()?.wanted.sources)
        });
        let selection = Selection::read(registry, &sources.flatten().collect());
        let mut loaded = Self {
            made: HashMap::new(),
            hops: HashMap::new(),
            selection,
            automatic: Vec::new(),
            warnings: Vec::new(),
        };
        for (index, file) in with_tls() {
            let around = Around { file, acme };
            if loaded.made.contains_key(&kind(file)) {
                loaded.is_also_of(around, &place(index));
            } else {
                loaded.make(around, &place(index), findings);
            }
        }
        loaded.read_hops((listeners, routes), document, findings);
        loaded
    }

    fn read_hops(
        &mut self,
        (listeners, routes): (&[ListenerFile], &[RouteFile]),
        document: &Document<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let of_listeners = listeners.iter().enumerate();
        let of_listeners = of_listeners
            .filter_map(|(index, file)| Some((file.hop.as_ref()?, listener::place(document, index))));
        let of_routes = routes.iter().enumerate();
        let of_routes =
            of_routes.filter_map(|(index, file)| Some((file.hop.as_ref()?, route::place(document, index))));
        for (file, place) in of_listeners.chain(of_routes) {
            if !self.hops.contains_key(file) {
                match hop::hop(file, &place.key("hop")) {
                    Ok(hop) => drop(self.hops.insert(file.clone(), Arc::new(hop))),
                    Err(wrong) => findings.push(wrong),
                }
            }
        }
    }

    /// Another route has the TLS of one before it.
    fn is_also_of(&self, around: Around<'_>, place: &Place<'_, '_>) {
        let terminate = around.file.tls.0.terminate.as_ref();
        if let Some(Ok(asked)) = terminate.map(|file| file.asked(around, &place.key("terminate"))) {
            self.selection.store(asked.wanted, around.file.name.shared());
        }
    }

    fn make(&mut self, around: Around<'_>, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
        let TlsTable { terminate, reencrypt } = &around.file.tls.0;
        let (selection, warnings) = (&self.selection, &mut self.warnings);
        let terminate = terminate
            .as_ref()
            .map(|file| terminating((file, around), selection, &place.key("terminate"), warnings));
        let reencrypt = reencrypt.as_ref().map(|file| reencrypting(file, &place.key("reencrypt")));
        match (terminate.transpose(), reencrypt.transpose()) {
            (Ok(terminate), Ok(reencrypt)) => {
                let (terminate, automatic) = terminate.unzip();
                self.automatic.extend(automatic.flatten());
                let tls = RouteTls::default().terminate(terminate.map(Arc::new));
                self.made.insert(kind(around.file), tls.reencrypt(reencrypt.map(Arc::new)));
            }
            (one, other) => {
                findings.extend(one.err().into_iter().flatten());
                findings.extend(other.err());
            }
        }
    }

    /// What a route does with TLS. One whose files could not be read is not going to be in force.
    pub(super) fn of_route(&self, file: &RouteFile) -> RouteTls {
        let hop = self.hop(file.hop.as_ref());
        if file.tls.is_passthrough() && hop.is_none() {
            return RouteTls::default();
        }
        let tls = self.made.get(&kind(file)).cloned().unwrap_or_default();
        hop.into_iter().fold(tls, RouteTls::hop)
    }

    /// The hop of this file. One that could not be read is not going to be in force.
    pub(super) fn hop(&self, file: Option<&HopFile>) -> Option<Arc<Hop>> {
        self.hops.get(file?).cloned()
    }

    /// Where certificates are presented that are obtained.
    pub(super) fn take_automatic(&mut self) -> Vec<Automatic> {
        std::mem::take(&mut self.automatic)
    }

    /// What works, and is to be looked at.
    pub(super) fn take_warnings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.warnings)
    }

    /// The certificates that all of them ask for.
    pub(super) fn into_selection(self) -> Selection {
        self.selection
    }
}
