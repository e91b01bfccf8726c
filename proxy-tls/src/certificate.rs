//! A certificate with its key, as PEM files have them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// A chain of certificates with the key of the first, and what the first says. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    names: Arc<[String]>,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// What a certificate says beside its names and dates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The kind of its key: `ECDSA 256`, `RSA 2048`, `Ed25519`.
    pub key: String,
    /// The common name of its issuer, or its whole name where it has none.
    pub issuer: String,
    /// Its number, in hexadecimal digits with colons between them, as `openssl x509` shows it.
    pub serial: String,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub sha256: String,
}

/// Why PEM texts are no certificate with its key. The messages say what to do; which file it was is the caller's to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No certificate in the text.
    #[error("there is no certificate in it: it has to have lines with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// No list of revoked certificates in the text.
    #[error(
        "there is no list of revoked certificates in it: it has to have lines with -----BEGIN X509 CRL-----"
    )]
    NoRevocationList,
    /// No private key in the text.
    #[error("there is no private key in it: it has to have lines with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// Neither a certificate nor a public key in the text.
    #[error(
        "there is nothing to pin in it: it has to have lines with -----BEGIN CERTIFICATE----- or -----BEGIN PUBLIC KEY-----"
    )]
    NoPin,
    /// The key is encrypted.
    #[error("its private key is encrypted: decrypt it (openssl pkey -in FILE -out FILE)")]
    EncryptedKey,
    /// The PEM form is broken.
    #[error("it is no PEM: {0}")]
    Pem(String),
    /// The certificate itself is broken.
    #[error("its certificate cannot be read: {0}")]
    Certificate(String),
    /// The key is of a kind that is not supported, or broken.
    #[error("its private key cannot be used: {0}")]
    Key(String),
    /// The key is not that of the first certificate.
    #[error("its private key is not that of its (first) certificate")]
    Mismatch,
}

impl Certificate {
    /// The certificates of one PEM text, the server's own first and then those that vouch for it, and the key of another, which may be
    /// the same text.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|error| broken(&error))?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| no_key(&error, key))?;
        Self::new(chain, &key)
    }

    /// The same, of what PEM would hold.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, CertificateError> {
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (names, not_before, not_after) = said(first)?;
        let key = aws_lc_rs::sign::any_supported_type(key)
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(CertificateError::Mismatch),
            Err(error) => return Err(CertificateError::Certificate(error.to_string())),
        }
        Ok(Self { key: Arc::new(certified), names: names.into(), not_before, not_after })
    }

    /// The names that it is for, in lower case: those of DNS among its subject's alternative names, or its common name where it has
    /// none of those. `*.example.com` is for one label in place of the star.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The certificates that are presented: its own first, then those that vouch for it.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// When it begins to be valid.
    #[must_use]
    pub const fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When it ceases to be valid.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether it may be presented at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// What it says beside its names and dates, read again. None where it cannot be read, which is not to be expected.
    #[must_use]
    pub fn details(&self) -> Option<Details> {
        let first = self.key.cert.first()?;
        let (_, read) = X509Certificate::from_der(first).ok()?;
        let issuer = read.issuer();
        let common = issuer.iter_common_name().find_map(|name| name.as_str().ok());
        let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, first);
        Some(Details {
            key: kind(&read),
            issuer: common.map_or_else(|| issuer.to_string(), str::to_owned),
            serial: read.raw_serial_as_string(),
            sha256: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Whether its key is an RSA one: old clients know no other.
    #[must_use]
    pub fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == rustls::SignatureAlgorithm::RSA
    }
}

/// The names, and from when until when.
fn said(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, SystemTime, SystemTime), CertificateError> {
    let (_, read) = X509Certificate::from_der(certificate)
        .map_err(|error| CertificateError::Certificate(error.to_string()))?;
    let alternative = read.subject_alternative_name().ok().flatten();
    let alternative = alternative.iter().flat_map(|names| &names.value.general_names);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the kinds of names this one is asked for by clients"
    )]
    let mut names: Vec<_> = alternative
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        let common = read.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    let valid = read.validity();
    let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok((names, at(valid.not_before.timestamp()), at(valid.not_after.timestamp())))
}

/// The kind of its key.
fn kind(certificate: &X509Certificate<'_>) -> String {
    let key = certificate.public_key();
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA {}", point.key_size()),
        _ if key.algorithm.algorithm == OID_SIG_ED25519 => "Ed25519".to_owned(),
        _ => key.algorithm.algorithm.to_id_string(),
    }
}

fn broken(error: &pem::Error) -> CertificateError {
    CertificateError::Pem(error.to_string())
}

/// Why there is no key.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's own words are good enough for the others")]
fn no_key(error: &pem::Error, text: &[u8]) -> CertificateError {
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    match error {
        pem::Error::NoItemsFound if text.windows(encrypted.len()).any(|at| at == encrypted) => {
            CertificateError::EncryptedKey
        }
        pem::Error::NoItemsFound => CertificateError::NoKey,
        error => broken(error),
    }
}
