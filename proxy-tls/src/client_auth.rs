//! Certificates that clients have to present: whose are taken.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError as Refused, DistinguishedName, Error, RootCertStore};

use crate::error::{ClientError, refusal};
use crate::identity::{Identity, NamePattern};
use crate::provider::provider;
use crate::signatures::signatures;

/// Which clients a server takes by their certificates.
///
/// No session is resumed where clients have to show who they are: each handshake sees the certificate, its dates, and what has been
/// revoked meanwhile.
#[derive(Debug, Clone)]
pub struct ClientAuth(pub(crate) Arc<dyn ClientCertVerifier>);

/// The same one; two that are made alike are not compared.
impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ClientAuth {}

impl Hash for ClientAuth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

/// Whose certificates are taken, and what else is asked of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientAuthOptions {
    /// Whose certificates are taken.
    pub trust: ClientTrust,
    /// Whether a client without one is served, too.
    pub optional: bool,
    /// Names of which the certificate has to have one; empty for whichever names.
    pub names: Vec<NamePattern>,
}

/// Whose certificates are taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ClientTrust {
    /// Those that one of these authorities vouches for, if none of these lists, which may be of other authorities and past their time,
    /// says that one of the chain is revoked.
    Roots(Vec<CertificateDer<'static>>, Vec<CertificateRevocationListDer<'static>>),
    /// Exactly these, whatever they say: their dates, and that one may be an authority's.
    Pinned(Vec<CertificateDer<'static>>),
}

impl ClientAuthOptions {
    /// Those of this trust, required, whatever their names.
    #[must_use]
    pub const fn new(trust: ClientTrust) -> Self {
        Self { trust, optional: false, names: Vec::new() }
    }

    /// Whether a client without one is served, too.
    #[must_use]
    pub fn optional(self, optional: bool) -> Self {
        Self { optional, ..self }
    }

    /// Names of which the certificate has to have one.
    #[must_use]
    pub fn names(self, names: Vec<NamePattern>) -> Self {
        Self { names, ..self }
    }
}

impl ClientAuth {
    /// What takes these clients.
    ///
    /// # Errors
    /// Where nobody would be taken, or a list of revoked certificates cannot be read.
    pub fn new(options: &ClientAuthOptions) -> Result<Self, ClientError> {
        let verifier: Arc<dyn ClientCertVerifier> = match &options.trust {
            ClientTrust::Roots(roots, revoked) => by_roots(roots, revoked, options.optional)?,
            ClientTrust::Pinned(pinned) if pinned.is_empty() => return Err(ClientError::NoRoots),
            ClientTrust::Pinned(pinned) => {
                Arc::new(Pinned { pinned: pinned.clone(), optional: options.optional, provider: provider() })
            }
        };
        Ok(Self(named(verifier, options.names.clone())))
    }
}

/// What verifies that one of `roots` vouches for a certificate.
pub(crate) fn by_roots(
    roots: &[CertificateDer<'static>],
    revoked: &[CertificateRevocationListDer<'static>],
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, ClientError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    if store.is_empty() {
        return Err(ClientError::NoRoots);
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
    // Of an authority that publishes no list nothing is revoked.
    let builder = builder.with_crls(revoked.iter().cloned()).allow_unknown_revocation_status();
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    Ok(builder.build().map_err(|error| Error::General(error.to_string()))?)
}

/// What takes those of `verifier` that have one of `names`; empty: whatever their names.
pub(crate) fn named(
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<NamePattern>,
) -> Arc<dyn ClientCertVerifier> {
    if names.is_empty() { verifier } else { Arc::new(Named { verifier, names }) }
}

/// Takes those of another verifier that have one of some names.
#[derive(Debug)]
struct Named {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<NamePattern>,
}

impl ClientCertVerifier for Named {
    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(presented, chain, now)?;
        let identity = Identity::of(presented);
        if identity.as_ref().is_some_and(|own| self.names.iter().any(|pattern| pattern.takes_any(own))) {
            return Ok(verified);
        }
        let who = identity.as_ref().map_or("one without a name", Identity::name);
        Err(refusal(format!("the certificate of {who} has none of the names that are let in")))
    }

    signatures!(by verifier verifier);
}

/// Takes certificates themselves. That the client has the key is what the handshake's signature says.
#[derive(Debug)]
struct Pinned {
    pinned: Vec<CertificateDer<'static>>,
    optional: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn client_auth_mandatory(&self) -> bool {
        !self.optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == presented) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(Refused::ApplicationVerificationFailure))
    }

    signatures!(by provider provider);
}
