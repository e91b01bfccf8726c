//! What both sides of TLS may be told: versions, cipher suites, groups of the key exchange.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, Error, SupportedCipherSuite, SupportedProtocolVersion};

use crate::agreed::cipher_name;
use crate::provider::provider;

/// A version of TLS. There is none below 1.2: they are broken, and the library has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "1.2"))]
    V12,
    /// TLS 1.3 (RFC 8446).
    #[cfg_attr(feature = "serde", serde(rename = "1.3"))]
    V13,
}

impl Version {
    fn of_library(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::V12 => &TLS12,
            Self::V13 => &TLS13,
        }
    }
}

/// A cipher suite, by its name in the registry of IANA; those of TLS 1.2 are read by the names that OpenSSL has for them too. There are
/// none but these: authenticated encryption with forward secrecy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Cipher {
    /// AES-256-GCM, of TLS 1.3.
    #[cfg_attr(feature = "serde", serde(rename = "TLS_AES_256_GCM_SHA384"))]
    Aes256,
    /// AES-128-GCM, of TLS 1.3.
    #[cfg_attr(feature = "serde", serde(rename = "TLS_AES_128_GCM_SHA256"))]
    Aes128,
    /// ChaCha20-Poly1305, of TLS 1.3.
    #[cfg_attr(feature = "serde", serde(rename = "TLS_CHACHA20_POLY1305_SHA256"))]
    ChaCha20,
    /// AES-256-GCM with an ECDSA certificate, of TLS 1.2.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", alias = "ECDHE-ECDSA-AES256-GCM-SHA384")
    )]
    EcdsaAes256,
    /// AES-128-GCM with an ECDSA certificate, of TLS 1.2.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", alias = "ECDHE-ECDSA-AES128-GCM-SHA256")
    )]
    EcdsaAes128,
    /// ChaCha20-Poly1305 with an ECDSA certificate, of TLS 1.2.
    #[cfg_attr(
        feature = "serde",
        serde(
            rename = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            alias = "ECDHE-ECDSA-CHACHA20-POLY1305"
        )
    )]
    EcdsaChaCha20,
    /// AES-256-GCM with an RSA certificate, of TLS 1.2.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", alias = "ECDHE-RSA-AES256-GCM-SHA384")
    )]
    RsaAes256,
    /// AES-128-GCM with an RSA certificate, of TLS 1.2.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", alias = "ECDHE-RSA-AES128-GCM-SHA256")
    )]
    RsaAes128,
    /// ChaCha20-Poly1305 with an RSA certificate, of TLS 1.2.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", alias = "ECDHE-RSA-CHACHA20-POLY1305")
    )]
    RsaChaCha20,
}

impl Cipher {
    fn suite(self) -> CipherSuite {
        match self {
            Self::Aes256 => CipherSuite::TLS13_AES_256_GCM_SHA384,
            Self::Aes128 => CipherSuite::TLS13_AES_128_GCM_SHA256,
            Self::ChaCha20 => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            Self::EcdsaAes256 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            Self::EcdsaAes128 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            Self::EcdsaChaCha20 => CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            Self::RsaAes256 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            Self::RsaAes128 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            Self::RsaChaCha20 => CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        }
    }

    fn of_library(self) -> Option<SupportedCipherSuite> {
        aws_lc_rs::ALL_CIPHER_SUITES.iter().copied().find(|suite| suite.suite() == self.suite())
    }

    /// The only version that has it.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Self::Aes256 | Self::Aes128 | Self::ChaCha20 => Version::V13,
            Self::EcdsaAes256
            | Self::EcdsaAes128
            | Self::EcdsaChaCha20
            | Self::RsaAes256
            | Self::RsaAes128
            | Self::RsaChaCha20 => Version::V12,
        }
    }
}

/// A group of the key exchange, by its name in the registry of IANA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Group {
    /// ML-KEM-768 and X25519: safe as long as either is, whatever quantum computers come.
    #[cfg_attr(feature = "serde", serde(rename = "X25519MLKEM768"))]
    X25519MlKem768,
    /// ML-KEM-768 and P-256.
    #[cfg_attr(feature = "serde", serde(rename = "SecP256r1MLKEM768"))]
    P256MlKem768,
    /// X25519.
    #[cfg_attr(feature = "serde", serde(rename = "x25519", alias = "X25519"))]
    X25519,
    /// P-256.
    #[cfg_attr(feature = "serde", serde(rename = "secp256r1", alias = "P-256", alias = "prime256v1"))]
    P256,
    /// P-384.
    #[cfg_attr(feature = "serde", serde(rename = "secp384r1", alias = "P-384"))]
    P384,
}

impl Group {
    fn of_library(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => kx_group::X25519MLKEM768,
            Self::P256MlKem768 => kx_group::SECP256R1MLKEM768,
            Self::X25519 => kx_group::X25519,
            Self::P256 => kx_group::SECP256R1,
            Self::P384 => kx_group::SECP384R1,
        }
    }
}

/// What either side may speak. By default everything that is fit for use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Parameters {
    /// The oldest version.
    pub min_version: Version,
    /// The newest version.
    pub max_version: Version,
    /// Cipher suites, the preferred one first. Of a version of which none is listed, all.
    pub ciphers: Vec<Cipher>,
    /// Groups of the key exchange, the preferred one first: a client sends a share of that. None listed: all.
    pub groups: Vec<Group>,
}

/// Why parameters contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// No version is left.
    #[error("min_version is above max_version")]
    Versions,
    /// A suite of a version that is not spoken.
    #[error("{name} is a cipher suite of TLS {version}, which min_version or max_version rules out")]
    Unspoken {
        /// The suite.
        name: &'static str,
        /// Its version.
        version: &'static str,
    },
}

impl Default for Parameters {
    fn default() -> Self {
        Self { min_version: Version::V12, max_version: Version::V13, ciphers: Vec::new(), groups: Vec::new() }
    }
}

impl Parameters {
    /// Versions from this one on.
    #[must_use]
    pub fn min_version(self, min_version: Version) -> Self {
        Self { min_version, ..self }
    }

    /// Versions up to this one.
    #[must_use]
    pub fn max_version(self, max_version: Version) -> Self {
        Self { max_version, ..self }
    }

    /// These cipher suites, the preferred one first.
    #[must_use]
    pub fn ciphers(self, ciphers: Vec<Cipher>) -> Self {
        Self { ciphers, ..self }
    }

    /// These groups, the preferred one first.
    #[must_use]
    pub fn groups(self, groups: Vec<Group>) -> Self {
        Self { groups, ..self }
    }

    /// Whether they can be spoken.
    ///
    /// # Errors
    /// Which of them contradict each other.
    pub fn check(&self) -> Result<(), ParametersError> {
        if self.min_version > self.max_version {
            return Err(ParametersError::Versions);
        }
        let spoken = self.min_version..=self.max_version;
        match self.ciphers.iter().find(|cipher| !spoken.contains(&cipher.version())) {
            Some(cipher) => {
                let version = if cipher.version() == Version::V12 { "1.2" } else { "1.3" };
                Err(ParametersError::Unspoken { name: cipher_name(cipher.suite()), version })
            }
            None => Ok(()),
        }
    }

    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let spoken = self.min_version..=self.max_version;
        [Version::V13, Version::V12]
            .into_iter()
            .filter(|version| spoken.contains(version))
            .map(Version::of_library)
            .collect()
    }

    /// The cryptography: aws-lc-rs, and no other beside it. One for all that speak everything: each takes a kilobyte, and there may be
    /// thousands of servers.
    pub(crate) fn provider(&self) -> Result<Arc<CryptoProvider>, Error> {
        self.check().map_err(|error| Error::General(error.to_string()))?;
        if self.ciphers.is_empty() && self.groups.is_empty() {
            return Ok(provider());
        }
        let mut provider = aws_lc_rs::default_provider();
        if !self.ciphers.is_empty() {
            let listed = self.ciphers.iter().filter_map(|cipher| cipher.of_library());
            let is_listed = |version: &SupportedProtocolVersion| {
                self.ciphers.iter().any(|cipher| cipher.version().of_library() == version)
            };
            let others = provider.cipher_suites.iter().copied().filter(|suite| !is_listed(suite.version()));
            provider.cipher_suites = listed.chain(others).collect();
        }
        if !self.groups.is_empty() {
            provider.kx_groups = self.groups.iter().map(|group| group.of_library()).collect();
        }
        Ok(Arc::new(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: [Cipher; 9] = [
        Cipher::Aes256,
        Cipher::Aes128,
        Cipher::ChaCha20,
        Cipher::EcdsaAes256,
        Cipher::EcdsaAes128,
        Cipher::EcdsaChaCha20,
        Cipher::RsaAes256,
        Cipher::RsaAes128,
        Cipher::RsaChaCha20,
    ];

    #[test]
    fn every_suite_and_group_of_the_library_has_a_name_here_and_the_version_that_it_is_of() {
        let ours: Vec<_> = SUITES.iter().map(|cipher| cipher.of_library().unwrap()).collect();
        assert!(aws_lc_rs::ALL_CIPHER_SUITES.iter().all(|suite| ours.contains(suite)));
        for (cipher, suite) in SUITES.iter().zip(&ours) {
            assert_eq!(cipher.version().of_library(), suite.version());
        }
        let groups = [Group::X25519MlKem768, Group::P256MlKem768, Group::X25519, Group::P256, Group::P384];
        let ours: Vec<_> = groups.iter().map(|group| group.of_library().name()).collect();
        let defaults = aws_lc_rs::DEFAULT_KX_GROUPS.iter().map(|group| group.name());
        assert!(defaults.into_iter().all(|name| ours.contains(&name)), "{ours:?}");
        assert!(ours.iter().all(|name| aws_lc_rs::ALL_KX_GROUPS.iter().any(|known| known.name() == *name)));
    }

    #[test]
    fn of_a_version_of_which_no_suite_is_listed_all_are_spoken() {
        let suites = |ciphers: &[Cipher]| {
            let provider = Parameters::default().ciphers(ciphers.to_vec()).provider().unwrap();
            let versions = provider.cipher_suites.iter().map(|suite| suite.version() == &TLS13);
            let (new, old): (Vec<_>, Vec<_>) = versions.partition(|is_new| *is_new);
            (new.len(), old.len())
        };
        assert_eq!(suites(&[]), (3, 6));
        assert_eq!(suites(&[Cipher::EcdsaAes128]), (3, 1));
        assert_eq!(suites(&[Cipher::ChaCha20, Cipher::Aes128]), (2, 6));
    }

    #[test]
    fn parameters_that_contradict_each_other_are_refused() {
        let only_13 = Parameters::default().min_version(Version::V13);
        assert_eq!(only_13.clone().max_version(Version::V12).check(), Err(ParametersError::Versions));
        assert_eq!(
            only_13.clone().ciphers(vec![Cipher::Aes128, Cipher::RsaAes128]).check().unwrap_err().to_string(),
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is a cipher suite of TLS 1.2, which min_version or max_version rules out"
        );
        assert_eq!(only_13.ciphers(vec![Cipher::Aes128]).check(), Ok(()));
    }
}
