//! Certificates and keys that are trusted as such, whatever authorities say of them.

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::certificate::CertificateError;

/// Certificates and public keys of which one has to be the peer's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    certificates: Vec<CertificateDer<'static>>,
    /// SHA-256 of a key as certificates have it (`SubjectPublicKeyInfo`), as in RFC 7469.
    keys: Vec<[u8; 32]>,
}

impl Pins {
    /// The certificates and public keys (`-----BEGIN PUBLIC KEY-----`) of a PEM text.
    ///
    /// # Errors
    /// Where there is neither, or the text is broken.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let broken = |error: rustls::pki_types::pem::Error| CertificateError::Pem(error.to_string());
        let certificates =
            CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let keys = SubjectPublicKeyInfoDer::pem_slice_iter(text).map(|key| Ok(sha256(&key?)));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let pins = Self { certificates, keys };
        if pins.is_empty() { Err(CertificateError::NoPin) } else { Ok(pins) }
    }

    /// The key with this SHA-256, as `openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary` has it.
    #[must_use]
    pub fn of_key(sha256: [u8; 32]) -> Self {
        Self { certificates: Vec::new(), keys: vec![sha256] }
    }

    /// Those of both.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.certificates.extend(more.certificates);
        self.keys.extend(more.keys);
        self
    }

    /// Whether nothing is pinned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.keys.is_empty()
    }

    /// Whether the certificate is pinned, or its key.
    pub(crate) fn has(&self, presented: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|pinned| pinned == presented)
            || !self.keys.is_empty() && key_of(presented).is_some_and(|key| self.keys.contains(&key))
    }
}

impl From<Vec<CertificateDer<'static>>> for Pins {
    fn from(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { certificates, keys: Vec::new() }
    }
}

/// SHA-256 of a certificate's key; None where it cannot be read.
fn key_of(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    Some(sha256(read.tbs_certificate.subject_pki.raw))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider.hash(bytes));
    // INVARIANT: it is a suite of TLS 1.3, and its hash has 32 bytes.
    hash.and_then(|hash| hash.as_ref().try_into().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // FIPS 180-2, B.1.
        assert_eq!(sha256(b"abc").first_chunk(), Some(&[0xba, 0x78, 0x16, 0xbf]));
    }

    #[test]
    fn a_certificate_is_known_by_itself_by_its_key_and_by_its_keys_hash() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let of = |key: &KeyPair| {
            CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(key).unwrap()
        };
        let (first, second, others) = (of(&key), of(&key), of(&other));
        let whole = Pins::from_pem(first.pem().as_bytes()).unwrap();
        assert!(whole.has(first.der()) && !whole.has(others.der()));
        let public = Pins::from_pem(key.public_key_pem().as_bytes()).unwrap();
        let hashed = Pins::of_key(sha256(&key.subject_public_key_info()));
        for pins in [&public, &hashed] {
            assert!(pins.has(first.der()) && pins.has(second.der()) && !pins.has(others.der()));
        }
        assert_eq!(public, hashed);
        let both = hashed.and(vec![others.der().clone()].into());
        assert!(both.has(second.der()) && both.has(others.der()));
        assert_eq!(Pins::from_pem(key.serialize_pem().as_bytes()), Err(CertificateError::NoPin));
    }
}
