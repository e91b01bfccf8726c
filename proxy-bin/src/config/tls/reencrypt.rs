//! TLS that is spoken to the backends: how it is written.

use std::path::PathBuf;

use proxy_dataplane::settings::Reencrypt;
use proxy_tls::{Cipher, ClientOptions, Group, Trust, Version, client_config};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use super::certificate::{CertificateFile, authorities};
use super::parameters::parameters;
use super::pins::PinsFile;
use super::words::{Protocol, ServerNameFile, protocols};

/// How TLS is spoken to the backends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReencryptFile {
    /// Whom to trust: `"system"`, whoever an authority of this machine vouches for; `{ roots = FILE }`, whoever one of the authorities
    /// in that file vouches for; `{ pinned = FILE }`, whoever has one of the certificates or public keys in it, whatever certificates
    /// say (also one of `openssl req -x509`); in place of a file also `"sha256/BASE64"`, the hash of a key, or a list of either. Default
    /// `"system"`.
    trust: TrustFile,
    /// The name to ask for, and to verify. Default: the target's host name; where that is an address, the client's server name, and
    /// the address where it has none.
    server_name: Option<ServerNameFile>,
    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.2"`.
    min_version: Version,
    /// The newest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.3"`.
    max_version: Option<Version>,
    /// Cipher suites, the preferred one first: names of the registry of IANA, such as `"TLS_AES_128_GCM_SHA256"`; those of TLS 1.2
    /// also as OpenSSL names them. Of a version of which none is listed, all are spoken. Default: all.
    ciphers: Vec<Cipher>,
    /// Groups of the key exchange, the preferred one first, of which a share is sent: `["X25519MLKEM768", "x25519"]` for one that quantum computers do not
    /// break. Default: all.
    groups: Vec<Group>,
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
    /// Certificates and keys themselves.
    Pinned(PinsFile),
}

pub(super) fn reencrypting(file: &ReencryptFile, place: &Place<'_, '_>) -> Result<Reencrypt, Finding> {
    let trust = match &file.trust {
        TrustFile::System => Trust::System,
        TrustFile::Roots(path) => Trust::Roots(authorities(path, &place.key("trust").key("roots"))?),
        TrustFile::Pinned(pins) => Trust::Pinned(pins.read(&place.key("trust").key("pinned"))?),
    };
    let own = file.certificate.as_ref().map(|own| own.read(&place.key("certificate"))).transpose()?;
    let parameters = parameters(file.min_version, file.max_version, &file.ciphers, &file.groups, place)?;
    let options = ClientOptions::default()
        .trust(trust)
        .parameters(parameters)
        .alpn(protocols(&file.alpn))
        .certificate(own);
    let config = client_config(&options).map_err(|error| {
        Finding::new(place.span(), format!("TLS cannot be spoken to the backends: {error}"))
    })?;
    Ok(Reencrypt { config, server_name: file.server_name.clone().map(|name| name.0), header_inside: false })
}
