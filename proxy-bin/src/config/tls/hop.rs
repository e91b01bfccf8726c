//! Mutual TLS between hops: how it is written at either end, and the files that are read for it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use proxy_tls::{Hop, Revoked};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::document::Place;
use super::super::file::{ListenerFile, RouteFile};
use super::super::finding::Finding;
use super::super::send_proxy::SendProxyFile;
use super::certificate::LARGEST;
use super::clients::NamesFile;
use crate::plain_file;

/// The identity of a hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HopTable {
    /// A PEM file with the certificates of the hops' authorities, the certificate of this hop and its key, as `smartproxy hop-cert` makes
    /// it; or a folder, of whose files that end in `.pem`, `.crt` or `.key` all is taken. It is read again with every reload.
    identity: PathBuf,
    /// Names of which the other hop's certificate has to have one: `["outer-1", "*.edge.internal"]`, where the star is one label.
    /// Default: whatever its names.
    #[serde(default)]
    names: NamesFile,
}

/// The identity of a hop, as it is written: a file, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::config) struct HopFile(HopTable);

impl<'de> Deserialize<'de> for HopFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = HopFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file such as \"/etc/smartproxy/hop.pem\", or { identity = \"/etc/smartproxy/hop.pem\", names = [\"outer-1\"] }")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<HopFile, E> {
        Ok(HopFile(HopTable { identity: path.into(), names: NamesFile::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HopFile, A::Error> {
        HopTable::deserialize(MapAccessDeserializer::new(map)).map(HopFile)
    }
}

impl JsonSchema for HopFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hop".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = HopTable::json_schema(generator);
        json_schema!({
            "description": "The identity of a hop: a file or a folder by itself, or a table that says more.",
            "examples": ["/etc/smartproxy/hop.pem"],
            "anyOf": [{ "type": "string" }, table],
        })
    }
}

/// Reads the identity that is written at `place`.
pub(super) fn hop(HopFile(table): &HopFile, place: &Place<'_, '_>) -> Result<Hop, Finding> {
    let at = || if place.key("identity").exists() { place.key("identity").span() } else { place.span() };
    let path = &table.identity;
    let text =
        text(path).map_err(|error| Finding::new(at(), format!("cannot read {}: {error}", path.display())))?;
    let unusable = |error: &dyn std::error::Error| {
        Finding::new(at(), format!("{} cannot be used: {error}", path.display()))
    };
    // A hop needs no list. Whose those are that it has, the authorities in the same file show.
    if let Ok(revoked) = Revoked::from_pem(&text) {
        revoked.check(&[]).map_err(|error| unusable(&error))?;
    }
    Hop::from_pem(&text, table.names.patterns()).map_err(|error| unusable(&error))
}

/// Files of a folder that are read, at most.
const MOST_FILES: usize = 64;

/// What a file holds, or the files of a folder by their names.
fn text(path: &Path) -> io::Result<Vec<u8>> {
    if !path.is_dir() {
        return Ok(plain_file::read(path, LARGEST)?);
    }
    let is_pem = |file: &PathBuf| {
        let ends = file.extension().and_then(|end| end.to_str());
        matches!(ends, Some("pem" | "crt" | "key")) && !file.is_dir()
    };
    let entries = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<_> = entries.collect::<Result<_, _>>()?;
    files.retain(is_pem);
    files.sort_unstable();
    if files.len() > MOST_FILES {
        return Err(io::Error::other(format!("it has more than {MOST_FILES} files")));
    }
    let mut all = Vec::new();
    for file in files {
        all.extend(plain_file::read(&file, LARGEST)?);
        // Whatever the last line of one ends with.
        all.push(b'\n');
    }
    Ok(all)
}

/// What is wrong with a listener that takes hops.
pub(in crate::config) fn check_listener(
    file: &ListenerFile,
    place: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let believed = place.key("accept_proxy");
    if file.hop.is_some() && believed.exists() {
        let title = "`hop` believes the PROXY headers of whoever proves to be a hop, whatever its address";
        findings.push(
            Finding::new(believed.span(), title)
                .label("this has no effect: take it out")
                .beside(place.span_of_key("hop"), "hops alone are taken here"),
        );
    }
}

/// What is wrong with a route whose backends are hops.
pub(in crate::config) fn check_route(file: &RouteFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    if file.hop.is_none() {
        return;
    }
    let sent = place.key("send_proxy");
    if file.send_proxy != SendProxyFile::V2 && sent.exists() {
        findings.push(
            Finding::new(sent.span(), "hops are sent a PROXY header of version 2, inside of their TLS")
                .label("take this out")
                .beside(place.span_of_key("hop"), "the backends are hops"),
        );
    }
    let again = place.key("tls").key("reencrypt");
    if file.tls.reencrypts() {
        findings.push(
            Finding::new(again.span(), "TLS is spoken to hops already")
                .label("take this out")
                .beside(place.span_of_key("hop"), "by this"),
        );
    }
}
