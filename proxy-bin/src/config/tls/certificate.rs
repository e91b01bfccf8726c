//! Files of certificates.

use std::path::{Path, PathBuf};

use proxy_tls::rustls::pki_types::CertificateDer;
use proxy_tls::{Certificate, certificates_from_pem};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use crate::plain_file;

/// The largest file of certificates that is read: the authorities of a whole system are a fifth of it.
const LARGEST: usize = 1 << 20;

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

pub(super) fn authorities(
    path: &Path,
    place: &Place<'_, '_>,
) -> Result<Vec<CertificateDer<'static>>, Finding> {
    let text = pem(path, place)?;
    certificates_from_pem(&text)
        .map_err(|error| Finding::new(place.span(), format!("{} cannot be used: {error}", path.display())))
}

fn pem(path: &Path, place: &Place<'_, '_>) -> Result<Vec<u8>, Finding> {
    plain_file::read(path, LARGEST)
        .map_err(|error| Finding::new(place.span(), format!("cannot read {}: {error}", path.display())))
}
