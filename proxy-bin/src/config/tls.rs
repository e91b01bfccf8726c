//! TLS of a route: how it is written, and the certificates that are read for it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proxy_dataplane::settings::{Reencrypt, RouteTls, Terminate, Truncated};
use proxy_tls::rustls::pki_types::{CertificateDer, ServerName};
use proxy_tls::{
    Certificate, Certificates, ClientOptions, ServerOptions, Trust, Version, certificates_from_pem,
    client_config, server_config,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::document::{Document, Place};
use super::file::RouteFile;
use super::finding::Finding;
use super::route;
use crate::plain_file;

/// The largest file of certificates that is read: the authorities of a whole system are a fifth of it.
const LARGEST: usize = 1 << 20;

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

/// How the client's TLS ends here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminateFile {
    /// The certificates, each for the names that it has: a client gets the one for the name that it asks for, and of an ECDSA and an RSA
    /// one for the same name the first that it takes, ECDSA before RSA. All are read again with every reload.
    certificates: Vec<CertificateFile>,
    /// Whether a client that asks for no name, or for one that none of them is for, is refused. If not, it gets the first one. Default
    /// false.
    #[serde(default)]
    strict_sni: bool,
    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.2"`.
    #[serde(default)]
    min_version: VersionFile,
    /// Application protocols (ALPN) that the backends speak, the preferred one first, such as `["http/1.1"]`: a client that offers
    /// only others is refused. Default: none is agreed upon, and every client served.
    #[serde(default)]
    alpn: Vec<Protocol>,
    /// Session tickets for each handshake of TLS 1.3, from 0 to 8. With 0 no session is resumed there, and a client that only writes
    /// and closes at once loses nothing over tickets that it leaves unread. Default 2.
    #[serde(default = "two")]
    #[schemars(range(max = 8))]
    tickets: Tickets,
    /// What becomes of the connection of a client that ends without a `close_notify`, as browsers do: `"end"`, its backend gets an end
    /// like any other, or `"reset"`, for protocols in which the end of the stream is the end of the message: it is reset. Default
    /// `"end"`.
    #[serde(default)]
    truncated: TruncatedFile,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateFile {
    /// The file with the certificate, and behind it those that vouch for it, such as `fullchain.pem`.
    certificate: PathBuf,
    /// The file with its private key. Default: the same file has it too.
    key: Option<PathBuf>,
}

/// How TLS is spoken to the backends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReencryptFile {
    /// Whom to trust: `"system"`, whoever an authority of this machine vouches for; `{ roots = FILE }`, whoever one of the authorities
    /// in that file vouches for; `{ pinned = FILE }`, whoever has one of the certificates in it, whatever they say (also one of
    /// `openssl req -x509`). Default `"system"`.
    trust: TrustFile,
    /// The name to ask for, and to verify. Default: the target's host name; where that is an address, the client's server name, and
    /// the address where it has none.
    server_name: Option<ServerNameFile>,
    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.2"`.
    min_version: VersionFile,
    /// Application protocols (ALPN) to offer, the preferred one first. Default: none.
    alpn: Vec<Protocol>,
    /// The certificate to present where the backend asks for one. Default: none.
    certificate: Option<CertificateFile>,
}

/// Whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TrustFile {
    /// Whoever an authority of this machine vouches for.
    #[default]
    System,
    /// A file with the certificates of authorities.
    Roots(PathBuf),
    /// A file with the certificates themselves.
    Pinned(PathBuf),
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
enum VersionFile {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

impl From<VersionFile> for Version {
    fn from(file: VersionFile) -> Self {
        match file {
            VersionFile::V12 => Self::V12,
            VersionFile::V13 => Self::V13,
        }
    }
}

/// What becomes of a client that ends without a `close_notify`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TruncatedFile {
    /// Its backend gets an end.
    #[default]
    End,
    /// Its backend is reset.
    Reset,
}

impl From<TruncatedFile> for Truncated {
    fn from(file: TruncatedFile) -> Self {
        match file {
            TruncatedFile::End => Self::End,
            TruncatedFile::Reset => Self::Reset,
        }
    }
}

/// An application protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
struct Protocol(Vec<u8>);

impl TryFrom<String> for Protocol {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if (1..=255).contains(&name.len()) {
            Ok(Self(name.into_bytes()))
        } else {
            Err("a protocol has from 1 to 255 bytes, such as \"h2\"")
        }
    }
}

/// How many tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "u8")]
struct Tickets(u8);

fn two() -> Tickets {
    Tickets(2)
}

impl TryFrom<i64> for Tickets {
    type Error = String;

    fn try_from(count: i64) -> Result<Self, Self::Error> {
        let few = u8::try_from(count).ok().filter(|count| *count <= 8);
        few.map(Self).ok_or_else(|| format!("expected a number from 0 to 8, found {count}"))
    }
}

/// A server's name, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
struct ServerNameFile(ServerName<'static>);

impl TryFrom<String> for ServerNameFile {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        ServerName::try_from(name.clone()).map(Self).map_err(|_| format!("\"{name}\" is no name of a server"))
    }
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

fn terminating(file: &TerminateFile, place: &Place<'_, '_>) -> Result<Terminate, Finding> {
    let all = place.key("certificates");
    if file.certificates.is_empty() {
        let title = "there is no certificate to end TLS with";
        return Err(Finding::new(all.span(), title).label("at least one has to be here"));
    }
    let read = file.certificates.iter().enumerate().map(|(at, one)| one.read(&all.index(at)));
    let certificates = read.collect::<Result<Vec<_>, _>>()?;
    let certificates = Certificates::new(&certificates, !file.strict_sni);
    let options = ServerOptions::default()
        .min_version(file.min_version.into())
        .alpn(protocols(&file.alpn))
        .tickets(file.tickets.0);
    let config = server_config(Arc::new(certificates), &options)
        .map_err(|error| Finding::new(place.span(), format!("TLS cannot be ended like this: {error}")))?;
    Ok(Terminate { config, truncated: file.truncated.into() })
}

fn reencrypting(file: &ReencryptFile, place: &Place<'_, '_>) -> Result<Reencrypt, Finding> {
    let trust = match &file.trust {
        TrustFile::System => Trust::System,
        TrustFile::Roots(path) => Trust::Roots(authorities(path, &place.key("trust").key("roots"))?),
        TrustFile::Pinned(path) => Trust::Pinned(authorities(path, &place.key("trust").key("pinned"))?),
    };
    let own = file.certificate.as_ref().map(|own| own.read(&place.key("certificate"))).transpose()?;
    let options = ClientOptions::default()
        .trust(trust)
        .min_version(file.min_version.into())
        .alpn(protocols(&file.alpn))
        .certificate(own);
    let config = client_config(&options).map_err(|error| {
        Finding::new(place.span(), format!("TLS cannot be spoken to the backends: {error}"))
    })?;
    Ok(Reencrypt { config, server_name: file.server_name.clone().map(|name| name.0) })
}

fn protocols(names: &[Protocol]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.0.clone()).collect()
}

impl CertificateFile {
    fn read(&self, place: &Place<'_, '_>) -> Result<Certificate, Finding> {
        let certificate = pem(&self.certificate, &place.key("certificate"))?;
        let key = match &self.key {
            Some(key) => pem(key, &place.key("key"))?,
            None => certificate.clone(),
        };
        let which = self.key.as_ref().unwrap_or(&self.certificate);
        Certificate::from_pem(&certificate, &key).map_err(|error| {
            use proxy_tls::CertificateError as Wrong;
            let of_key =
                matches!(error, Wrong::NoKey | Wrong::EncryptedKey | Wrong::Key(_) | Wrong::Mismatch);
            let (path, at) = if of_key && self.key.is_some() {
                (which, "key")
            } else {
                (&self.certificate, "certificate")
            };
            Finding::new(place.key(at).span(), format!("{} cannot be used: {error}", path.display()))
        })
    }
}

fn authorities(path: &Path, place: &Place<'_, '_>) -> Result<Vec<CertificateDer<'static>>, Finding> {
    let text = pem(path, place)?;
    certificates_from_pem(&text)
        .map_err(|error| Finding::new(place.span(), format!("{} cannot be used: {error}", path.display())))
}

fn pem(path: &Path, place: &Place<'_, '_>) -> Result<Vec<u8>, Finding> {
    plain_file::read(path, LARGEST)
        .map_err(|error| Finding::new(place.span(), format!("cannot read {}: {error}", path.display())))
}
