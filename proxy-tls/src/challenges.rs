//! Answers to the challenges by which an authority sees that a name is served here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig};

use crate::provider::provider;

/// The application protocol of a challenge by handshake (RFC 8737).
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// Answers that are due at the moment, replaced as a whole. Several machines of an authority ask for one at the same time, so one stands
/// until its order is done.
///
/// A handshake that is a challenge has a configuration of its own, in which `acme-tls/1` is the only protocol: those of clients do not
/// know of it, and a route that agrees upon no protocol goes on taking clients whatever they offer.
#[derive(Debug, Default)]
pub struct Challenges {
    certificates: ArcSwap<HashMap<Box<str>, ChallengeCertificate>>,
    /// By token: what a request for it is answered with.
    tokens: ArcSwap<HashMap<Box<str>, Arc<str>>>,
    awaits_requests: AtomicBool,
}

/// The certificate that answers a challenge by handshake.
#[derive(Debug, Clone)]
pub struct ChallengeCertificate {
    config: Arc<ServerConfig>,
    mark: Box<str>,
}

impl ChallengeCertificate {
    /// A handshake with this certificate. It may have the critical extension of such a certificate, which
    /// [`Certificate`](crate::Certificate) refuses.
    ///
    /// # Errors
    /// Where the key cannot be used.
    pub fn new(certificate: CertificateDer<'static>, key: &PrivateKeyDer<'_>) -> Result<Self, Error> {
        let key = aws_lc_rs::sign::any_supported_type(key)?;
        // Not `from_der`, which reads the certificate as a client would and knows no such extension.
        let certified = CertifiedKey::new(vec![certificate], key);
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![ACME_TLS.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), mark: Box::default() })
    }

    /// The same with a mark, by which it is [known](Challenges::known) again.
    #[must_use]
    pub fn of(self, mark: &str) -> Self {
        Self { mark: mark.into(), ..self }
    }
}

impl Challenges {
    /// How a handshake is answered that asks for `name` and offers [`ACME_TLS`] alone. None where no challenge is pending for it.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Option<Arc<ServerConfig>> {
        self.certificates.load().get(name).map(|known| Arc::clone(&known.config))
    }

    /// The certificate for `name`, where it is the one with this mark.
    #[must_use]
    pub fn known(&self, name: &str, mark: &str) -> Option<ChallengeCertificate> {
        self.certificates.load().get(name).filter(|known| *known.mark == *mark).cloned()
    }

    /// What a request for this token is answered with.
    #[must_use]
    pub fn token(&self, token: &str) -> Option<Arc<str>> {
        self.tokens.load().get(token).cloned()
    }

    /// Whether a request may come that is a challenge.
    #[must_use]
    pub fn awaits_requests(&self) -> bool {
        self.awaits_requests.load(Ordering::Relaxed)
    }

    /// From now on these are the answers: certificates by the name that is asked for, and what requests get by their token.
    pub fn answer(
        &self,
        certificates: HashMap<Box<str>, ChallengeCertificate>,
        tokens: HashMap<Box<str>, Arc<str>>,
    ) {
        self.awaits_requests.store(!tokens.is_empty(), Ordering::Relaxed);
        self.certificates.store(Arc::new(certificates));
        self.tokens.store(Arc::new(tokens));
    }
}
