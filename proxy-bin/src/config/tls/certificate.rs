//! Files of certificates.

use std::path::{Path, PathBuf};

use proxy_tls::rustls::pki_types::CertificateDer;
use proxy_tls::{Certificate, certificates_from_pem};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::acme::ExactName;
use super::super::document::Place;
use super::super::finding::Finding;
use crate::certificates::{Pair, PairError, Source, SourceError};
use crate::plain_file;

/// The largest file of certificates that is read: the authorities of a whole system are a fifth of it.
pub(super) const LARGEST: usize = 1 << 20;

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateFile {
    /// The file with the certificate, and behind it those that vouch for it, such as `fullchain.pem`.
    certificate: PathBuf,
    /// The file with its private key. Default: the same file has it too.
    key: Option<PathBuf>,
}

impl CertificateFile {
    pub(super) fn read(&self, place: &Place<'_, '_>) -> Result<Certificate, Finding> {
        let pair = Pair { certificate: self.certificate.clone(), key: self.key.clone() };
        pair.read().map_err(|error| wrong_pair(&error, place))
    }
}

/// Certificates that clients get: one, or a folder of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificatesFile {
    /// The file with the certificate, and behind it those that vouch for it, such as `fullchain.pem`.
    certificate: Option<PathBuf>,
    /// The file with its private key. Default: the same file has it too.
    key: Option<PathBuf>,
    /// In place of them, a folder: of all that it has, and the folders in it, a client gets the one for the name that it asks for.
    /// `NAME.pem` with certificate and key, `NAME.crt` or `NAME.pem` with `NAME.key`, `NAME.crt.key` or `NAME-key.pem` beside it,
    /// or `NAME/fullchain.pem` with `NAME/privkey.pem`, as certbot's `live` has them. In the order of their names.
    folder: Option<PathBuf>,
    /// In place of them, names for which certificates are obtained, as `[acme]` has it.
    #[serde(default)]
    auto: Vec<ExactName>,
}

impl CertificatesFile {
    /// The names of those that are obtained, where it is about such.
    pub(super) fn names(&self, place: &Place<'_, '_>) -> Result<Option<&[ExactName]>, Finding> {
        match self {
            Self { auto, .. } if auto.is_empty() => Ok(None),
            Self { certificate: None, key: None, folder: None, auto } => Ok(Some(auto)),
            Self { .. } => {
                Err(Finding::new(place.span(), "these are files and obtained certificates at once")
                    .help("write `{ auto = [names] }` beside the others, each by itself"))
            }
        }
    }

    /// Where they come from.
    pub(super) fn source(&self, place: &Place<'_, '_>) -> Result<Source, Finding> {
        match self {
            Self { certificate: Some(certificate), key, folder: None, .. } => {
                Ok(Source::Files(Pair { certificate: certificate.clone(), key: key.clone() }))
            }
            Self { certificate: None, key: None, folder: Some(folder), .. } => Ok(Source::Folder(folder.clone())),
            Self { folder: Some(_), .. } => {
                Err(Finding::new(place.span(), "this is a file and a folder of certificates at once")
                    .help("write `{ folder = DIR }` beside `{ certificate = FILE }`, each by itself"))
            }
            Self { folder: None, .. } => Err(Finding::new(place.span(), "there is no certificate in this")
                .help("write `{ certificate = FILE }`, `{ certificate = FILE, key = FILE }`, `{ folder = DIR }` or `{ auto = [NAME] }`")),
        }
    }
}

/// What is wrong with a source that is written at `place`.
pub(super) fn wrong_source(error: &SourceError, place: &Place<'_, '_>) -> Finding {
    let folder = place.key("folder");
    match error {
        SourceError::Pair(error) if !folder.exists() => wrong_pair(error, place),
        SourceError::Pair(_) | SourceError::Folder { .. } | SourceError::Empty(_) => {
            Finding::new(folder.span(), error.to_string())
        }
    }
}

fn wrong_pair(error: &PairError, place: &Place<'_, '_>) -> Finding {
    let at = if error.is_of_key() { "key" } else { "certificate" };
    Finding::new(place.key(at).span(), error.to_string())
}

/// The certificates in a file.
pub(in super::super) fn authorities(
    path: &Path,
    place: &Place<'_, '_>,
) -> Result<Vec<CertificateDer<'static>>, Finding> {
    let text = pem(path, place)?;
    certificates_from_pem(&text)
        .map_err(|error| Finding::new(place.span(), format!("{} cannot be used: {error}", path.display())))
}

/// The text of a PEM file.
pub(in super::super) fn pem(path: &Path, place: &Place<'_, '_>) -> Result<Vec<u8>, Finding> {
    plain_file::read(path, LARGEST)
        .map_err(|error| Finding::new(place.span(), format!("cannot read {}: {error}", path.display())))
}
