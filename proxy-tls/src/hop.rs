//! A hop of a chain among its neighbours: each proves to the other that it is one, whatever its address.
//!
//! ```text
//! PEM: authorities of the hops' own ─┐
//!      certificate of this hop ──────┼─► Hop ─► server: TLS of a hop before, which has to show such a certificate
//!      its key ──────────────────────┘      └─► client: TLS towards a hop behind, likewise
//! ```
//! What a certificate has to be is the same in both directions: made by one of the authorities, valid, not revoked, and usable as a
//! client's. Names of hosts are not compared, since hops go by addresses; which names are let in may be said.
//!
//! TLS 1.3 alone, and no resumption: each connection proves it anew, so that what is taken back is taken back at once.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{CertificateError as Refused, ClientConfig, DistinguishedName, Error, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::certificate::{Certificate, CertificateError};
use crate::client_auth::{by_roots, named};
use crate::error::{ClientError, HandshakeError, refusal};
use crate::identity::{Identity, NamePattern};
use crate::provider::provider;
use crate::signatures::signatures;

/// What a hop is, and whom it takes for another.
///
/// Two are equal where they are made of the same certificates and take the same names.
pub struct Hop {
    authorities: Vec<CertificateDer<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    own: Certificate,
    name: Box<str>,
    names: Vec<NamePattern>,
    neighbours: Arc<Neighbours>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// Why a PEM text makes no hop. The messages say what to do; which file it was is the caller's to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HopError {
    /// It has no authority's certificate.
    #[error(
        "it has no certificate of the hops' authority, so that no other hop would be believed (smartproxy hop-cert makes such files)"
    )]
    NoAuthority,
    /// It has authorities' certificates alone.
    #[error(
        "it has no certificate of this hop beside those of authorities (smartproxy hop-cert makes such files)"
    )]
    NoOwn,
    /// None of its keys is that of one of its certificates.
    #[error("it has no private key of the certificate of this hop")]
    NoKeyOfIt,
    /// The own certificate is none of these authorities'.
    #[error("the certificate of {name} in it would be refused by every hop: {why}")]
    NotOfThese {
        /// Whose it is.
        name: Box<str>,
        /// What the others would say of it.
        why: String,
    },
    /// What it is made of cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No configuration can be made of it.
    #[error(transparent)]
    Tls(#[from] ClientError),
}

impl From<Error> for HopError {
    fn from(error: Error) -> Self {
        Self::Tls(ClientError::Tls(error))
    }
}

impl Hop {
    /// The hop that has the certificates, the key and perhaps lists of revoked certificates of this text. Certificates of authorities
    /// (CA:TRUE) are those that vouch for hops: while one takes the place of another, both are there. Of several certificates of the
    /// hop's own the one counts that is valid for longest. Other hops are taken that have one of `names`; empty: whatever their names.
    ///
    /// # Errors
    /// What is missing, or wrong.
    pub fn from_pem(text: &[u8], names: Vec<NamePattern>) -> Result<Self, HopError> {
        let Parts { authorities, own, keys, revoked } = Parts::of(text)?;
        if authorities.is_empty() {
            return Err(HopError::NoAuthority);
        }
        let own = newest(own, &keys)?;
        let leaf = own.key.end_entity_cert().map_err(HopError::from)?;
        let name = Identity::of(leaf).map_or_else(|| "a hop without a name".into(), |own| own.name().into());
        let verifier = by_roots(&authorities, &revoked, false)?;
        // At the time that it is made for: that this has passed is seen elsewhere, and keeps no proxy from starting.
        if let Err(why) = verify(&*verifier, leaf, own.not_before()) {
            return Err(HopError::NotOfThese { name, why: HandshakeError::from(why).to_string() });
        }
        let neighbours = Arc::new(Neighbours { verifier: named(verifier, names.clone()) });
        let (server, client) = (server(&own, &neighbours)?, client(&own, &neighbours)?);
        Ok(Self { authorities, revoked, own, name, names, neighbours, server, client })
    }

    /// The name in its certificate.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of which another hop has to have one; empty: whatever its names.
    #[must_use]
    pub fn names(&self) -> &[NamePattern] {
        &self.names
    }

    /// A number that is the same for two that are equal.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.authorities, &self.own.key.cert, self.names()).hash(&mut hasher);
        hasher.finish()
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.own
    }

    /// How it takes hops that connect to it.
    #[must_use]
    pub const fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }

    /// How it connects to hops. No name is asked for: what names tell is inside.
    #[must_use]
    pub const fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// Whether it would take `other` for a hop at `now`.
    ///
    /// # Errors
    /// What it would say of its certificate.
    pub fn takes(&self, other: &Self, now: SystemTime) -> Result<(), HandshakeError> {
        Ok(verify(&*self.neighbours, other.own.key.end_entity_cert()?, now)?)
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop").field("name", &self.name).field("names", &self.names()).finish_non_exhaustive()
    }
}

impl PartialEq for Hop {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities
            && self.revoked == other.revoked
            && self.own.key.cert == other.own.key.cert
            && self.names() == other.names()
    }
}

impl Eq for Hop {}

/// What a text holds.
struct Parts {
    authorities: Vec<CertificateDer<'static>>,
    own: Vec<CertificateDer<'static>>,
    keys: Vec<PrivateKeyDer<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl Parts {
    fn of(text: &[u8]) -> Result<Self, CertificateError> {
        let broken = |error: pem::Error| CertificateError::Pem(error.to_string());
        let all: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(broken)?;
        let keys = PrivateKeyDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(broken)?;
        let revoked = CertificateRevocationListDer::pem_slice_iter(text);
        let revoked = revoked.collect::<Result<_, _>>().map_err(broken)?;
        let (mut authorities, mut own) = (Vec::new(), Vec::new());
        for certificate in all {
            let (_, read) = X509Certificate::from_der(&certificate)
                .map_err(|error| CertificateError::Certificate(error.to_string()))?;
            let list = if read.is_ca() { &mut authorities } else { &mut own };
            list.push(certificate);
        }
        Ok(Self { authorities, own, keys, revoked })
    }
}

/// Of these certificates the one that is valid for longest and has its key among `keys`.
fn newest(own: Vec<CertificateDer<'static>>, keys: &[PrivateKeyDer<'_>]) -> Result<Certificate, HopError> {
    if own.is_empty() {
        return Err(HopError::NoOwn);
    }
    if keys.is_empty() {
        return Err(CertificateError::NoKey.into());
    }
    let mut newest: Option<Certificate> = None;
    for certificate in own {
        for key in keys {
            match Certificate::new(vec![certificate.clone()], key) {
                Ok(found) if newest.as_ref().is_none_or(|best| best.not_after() < found.not_after()) => {
                    newest = Some(found);
                }
                Ok(_) | Err(CertificateError::Mismatch) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    newest.ok_or(HopError::NoKeyOfIt)
}

fn verify(
    verifier: &dyn ClientCertVerifier,
    certificate: &CertificateDer<'_>,
    at: SystemTime,
) -> Result<(), Error> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    verifier.verify_client_cert(certificate, &[], UnixTime::since_unix_epoch(since)).map(drop)
}

fn server(own: &Certificate, neighbours: &Arc<Neighbours>) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let neighbours = Arc::clone(neighbours);
    let builder = builder.with_client_cert_verifier(neighbours);
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&own.key))));
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

fn client(own: &Certificate, neighbours: &Arc<Neighbours>) -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let neighbours = Arc::clone(neighbours);
    let builder = builder.dangerous().with_custom_certificate_verifier(neighbours);
    let mut config =
        builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&own.key))));
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// Takes hops, whichever side they are on.
#[derive(Debug)]
struct Neighbours {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Neighbours {
    fn verify(
        &self,
        presented: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(presented, chain, now);
        // Authorities of two chains may have the same name: then it is the signature that is another's.
        if let Err(Error::InvalidCertificate(Refused::UnknownIssuer | Refused::BadSignature)) = verified {
            let who = Identity::of(presented);
            let who = who.as_ref().map_or("one without a name", Identity::name);
            return Err(refusal(format!(
                "the certificate of {who} is of none of the authorities in the file of this hop"
            )));
        }
        verified
    }
}

impl ClientCertVerifier for Neighbours {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(presented, chain, now)
    }

    signatures!(by verifier verifier);
}

impl ServerCertVerifier for Neighbours {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(presented, chain, now)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!(by verifier verifier);
}
