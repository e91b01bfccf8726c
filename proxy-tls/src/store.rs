//! The certificates that handshakes take at the moment, which may be replaced while they do.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;
use crate::certificates::Certificates;

/// The application protocol of a challenge by which an authority sees that a name is served here (RFC 8737).
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// The certificates of a server, replaced as a whole: a handshake that has begun goes on with those of before, and one that begins gets
/// the new ones. No configuration has to be made anew for it.
#[derive(Debug, Default)]
pub struct CertificateStore {
    current: ArcSwap<Certificates>,
    /// By name: what a client gets that offers [`ACME_TLS`] alone.
    challenges: ArcSwap<HashMap<Box<str>, Arc<CertifiedKey>>>,
}

impl CertificateStore {
    /// With these to begin with.
    #[must_use]
    pub fn new(certificates: Certificates) -> Self {
        Self { current: ArcSwap::from_pointee(certificates), challenges: ArcSwap::default() }
    }

    /// Those that the next handshake gets.
    #[must_use]
    pub fn current(&self) -> Arc<Certificates> {
        self.current.load_full()
    }

    /// From now on these.
    pub fn replace(&self, certificates: Certificates) {
        self.current.store(Arc::new(certificates));
    }

    /// From now on these answer challenges, by the name that is asked for: several authorities' machines ask for one at the same time, so
    /// an answer stands until its order is done.
    pub fn answer(&self, challenges: HashMap<Box<str>, Certificate>) {
        let keys = challenges.into_iter().map(|(name, certificate)| (name, certificate.key));
        self.challenges.store(Arc::new(keys.collect()));
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let mut offered = hello.alpn().into_iter().flatten();
        if offered.next() == Some(ACME_TLS) && offered.next().is_none() {
            return self.challenges.load().get(name.as_deref()?).cloned();
        }
        self.current.load().find(name.as_deref(), hello.signature_schemes()).cloned()
    }
}
