//! Certificates by the names that clients ask for.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// Certificates by name. Of several for one name the first of each kind of key counts: a client that takes an ECDSA one gets that,
/// which costs half of an RSA one, and others get the RSA one.
#[derive(Debug, Default)]
pub struct Certificates {
    exact: HashMap<Box<str>, Kinds>,
    /// By what follows the star and its dot.
    wildcards: HashMap<Box<str>, Kinds>,
    /// For a client that asks for no name, or for one that is not among them.
    default: Option<Kinds>,
}

/// Those for one name, by the kind of their key.
#[derive(Debug, Clone, Default)]
struct Kinds {
    ecdsa: Option<Arc<CertifiedKey>>,
    rsa: Option<Arc<CertifiedKey>>,
}

impl Kinds {
    fn add(&mut self, certificate: &Certificate) {
        let kind = if certificate.is_rsa() { &mut self.rsa } else { &mut self.ecdsa };
        kind.get_or_insert_with(|| Arc::clone(&certificate.key));
    }

    /// The one that a client which takes these signatures gets.
    fn choose(&self, takes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let both = || self.ecdsa.iter().chain(&self.rsa);
        both().find(|certified| certified.key.choose_scheme(takes).is_some()).or_else(|| both().next())
    }
}

impl Certificates {
    /// These certificates, each for the names that it is for. The names of the first serve clients that ask for none, or for another
    /// name, if `default`: as nginx and HAProxy have it.
    #[must_use]
    pub fn new(all: &[Certificate], default: bool) -> Self {
        let mut by_name = Self::default();
        for certificate in all {
            for name in certificate.names() {
                let kinds = match name.strip_prefix("*.") {
                    Some(rest) => by_name.wildcards.entry(rest.into()),
                    None => by_name.exact.entry(name.as_str().into()),
                };
                kinds.or_default().add(certificate);
            }
        }
        if let Some(first) = all.first().filter(|_| default) {
            let alike = all.iter().filter(|other| other.names() == first.names());
            let kinds = by_name.default.get_or_insert_default();
            alike.for_each(|certificate| kinds.add(certificate));
        }
        by_name
    }

    /// The certificate for `name`, as a client asks for it, that fits one of the signatures that it takes.
    #[must_use]
    pub fn find(&self, name: Option<&str>, takes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        name.and_then(|name| self.named(name)).or(self.default.as_ref())?.choose(takes)
    }

    /// Whether there is one for this name, the default one apart.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    fn named(&self, name: &str) -> Option<&Kinds> {
        self.exact.get(name).or_else(|| {
            let (_, rest) = name.split_once('.')?;
            self.wildcards.get(rest)
        })
    }
}
