//! TLS towards servers: whom to trust, and as whom to go there.

use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError as Refused, ClientConfig, Error, RootCertStore};

use crate::certificate::{Certificate, CertificateError};
use crate::error::ClientError;
use crate::key_log::key_log;
use crate::parameters::Parameters;
use crate::pins::Pins;
use crate::signatures::signatures;

/// Whom a client trusts.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Whoever an authority of this machine vouches for.
    #[default]
    System,
    /// Whoever one of these authorities vouches for.
    Roots(Vec<CertificateDer<'static>>),
    /// Whoever presents one of these certificates, or one with one of these keys, and has the key, whatever the certificate says: its
    /// names, its dates, and that it may be an authority's (which `openssl req -x509` makes).
    Pinned(Pins),
}

/// How the client's side of TLS is spoken.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Whom to trust.
    pub trust: Trust,
    /// Versions, cipher suites, groups.
    pub parameters: Parameters,
    /// Application protocols to offer, the preferred one first.
    pub alpn: Vec<Vec<u8>>,
    /// The certificate to present where one is asked for.
    pub certificate: Option<Certificate>,
}

impl ClientOptions {
    /// Whom to trust.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Versions, cipher suites, groups.
    #[must_use]
    pub fn parameters(self, parameters: Parameters) -> Self {
        Self { parameters, ..self }
    }

    /// Application protocols to offer, the preferred one first.
    #[must_use]
    pub fn alpn(self, alpn: Vec<Vec<u8>>) -> Self {
        Self { alpn, ..self }
    }

    /// The certificate to present where one is asked for.
    #[must_use]
    pub fn certificate(self, certificate: Option<Certificate>) -> Self {
        Self { certificate, ..self }
    }
}

/// The certificates of a PEM text.
///
/// # Errors
/// Where there is none, or the text is broken.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Pem(error.to_string()))?;
    if all.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(all) }
}

/// Servers, by name, of which sessions are kept to be resumed; of each the last eight tickets (rustls). The names may be those that
/// clients ask for: there is no end of them.
const SESSIONS: usize = 256;

/// A client's configuration.
///
/// # Errors
/// Where the parameters contradict each other, nobody would be trusted, or the client's own certificate cannot be used.
pub fn client_config(options: &ClientOptions) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = options.parameters.provider()?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&options.parameters.versions())?;
    let verifier: Arc<dyn ServerCertVerifier> = match &options.trust {
        Trust::System => by_roots(system_roots()?, provider)?,
        Trust::Roots(roots) => {
            let mut store = RootCertStore::empty();
            for root in roots {
                store.add(root.clone())?;
            }
            by_roots(store, provider)?
        }
        Trust::Pinned(pinned) if pinned.is_empty() => return Err(ClientError::NoRoots),
        Trust::Pinned(pinned) => Arc::new(Pinned { pinned: pinned.clone(), provider }),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &options.certificate {
        Some(own) => builder
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(Arc::clone(&own.key)))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols.clone_from(&options.alpn);
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config.key_log = key_log();
    Ok(Arc::new(config))
}

fn by_roots(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ClientError> {
    if roots.is_empty() {
        return Err(ClientError::NoRoots);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(verifier.map_err(|error| Error::General(error.to_string()))?)
}

fn system_roots() -> Result<RootCertStore, ClientError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What a machine has beside good ones (old, odd) is passed over, as everybody does.
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(ClientError::NoSystemRoots(why.join("; ")));
    }
    Ok(roots)
}

/// Trusts certificates and keys themselves. That the server has the key is what the handshake's signature says.
#[derive(Debug)]
struct Pinned {
    pinned: Pins,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.has(presented) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(Refused::ApplicationVerificationFailure))
    }

    signatures!(by provider provider);
}
