//! TLS in this process: a root of its own, and connections between those who trust it and nobody else.
//!
//! The cryptography is passed by hand (`builder_with_provider`): a provider chosen for the whole process would panic as soon as a
//! second one came into the tree.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DnType, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::wait::{PATIENCE, within};
use crate::wire::{Ending, Wire};

/// Who certifies the backends of a test, and whom alone its clients trust.
pub struct Root {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
    connector: TlsConnector,
}

/// A client's certificate with its key.
pub struct Own {
    certificate: Certificate,
    key: KeyPair,
    serial: SerialNumber,
}

impl Own {
    /// It and its key, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }
}

impl Root {
    /// One that nobody has trusted before.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // Its own, or OpenSSL takes what it certifies for self-signed: they would be of the same name.
        params.distinguished_name.push(DnType::CommonName, "root of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("it signs itself");
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).expect("it was just made");
        let roots = Arc::new(roots);
        Self { issuer, connector: connector((*roots).clone()), roots }
    }

    /// A certificate of a client of this common name, and with these for its alternative names.
    #[must_use]
    pub fn own(&self, common_name: &str, names: &[&str]) -> Own {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let (mut params, key) = (CertificateParams::new(names).expect("they are names of hosts"), key());
        params.distinguished_name.push(DnType::CommonName, common_name);
        // Of a random key, and so of no other.
        let serial = SerialNumber::from_slice(key.public_key_raw().get(1..9).unwrap_or_default());
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).expect("the root signs");
        Own { certificate, key, serial }
    }

    /// A list that says that these are revoked, in PEM.
    #[must_use]
    pub fn revoked(&self, revoked: &[&Own]) -> String {
        let one = |own: &&Own| RevokedCertParams {
            serial_number: own.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&self.issuer).expect("the root signs");
        signed.pem().expect("it can be written")
    }

    /// Connects as whoever has this certificate.
    ///
    /// # Errors
    /// Where the handshake fails, as far as the client is told: in TLS 1.3 it hears of a refusal when it reads.
    pub async fn try_connect_as(&self, own: &Own, addr: SocketAddr, name: &str) -> io::Result<TlsWire> {
        let config = ClientConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().expect("the provider has both versions");
        let key = PrivateKeyDer::Pkcs8(own.key.serialize_der().into());
        let config = config.with_root_certificates(Arc::clone(&self.roots));
        let config = config.with_client_auth_cert(vec![own.certificate.der().clone()], key);
        let connector = TlsConnector::from(Arc::new(config.expect("the key is the certificate's")));
        let name = ServerName::try_from(name.to_owned()).expect("it is a name of a host");
        let wire = Wire::connect(addr).await;
        Ok(TlsWire::on(within(PATIENCE, connector.connect(name, wire)).await?.into()))
    }

    /// A server with a certificate for `names`, which may begin with `*.`.
    pub(crate) fn server(&self, names: &[&str]) -> TlsAcceptor {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let (params, key) = (CertificateParams::new(names).expect("they are names of hosts"), key());
        let certificate = params.signed_by(&key, &self.issuer).expect("the root signs");
        let config = ServerConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().expect("the provider has both versions");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.expect("the key is the certificate's")).into()
    }

    /// The root itself, in PEM: for whoever is to trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `names` and its key behind it, in PEM.
    #[must_use]
    pub fn certificate(&self, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let (params, key) = (CertificateParams::new(names).expect("they are names of hosts"), key());
        let certificate = params.signed_by(&key, &self.issuer).expect("the root signs");
        certificate.pem() + &key.serialize_pem()
    }

    /// Connects to `addr` and shakes hands with `name`, who has to prove that it is.
    pub async fn connect(&self, addr: SocketAddr, name: &str) -> TlsWire {
        self.try_connect(addr, name).await.expect("it is who was asked for")
    }

    /// The same with somebody who may be anybody.
    ///
    /// # Errors
    /// Where the handshake fails, not least over the certificate.
    pub async fn try_connect(&self, addr: SocketAddr, name: &str) -> io::Result<TlsWire> {
        connect(&self.connector, addr, name).await
    }
}

/// Who trusts some certificates, and nobody else.
#[derive(Clone)]
pub struct Trusting(TlsConnector);

impl std::fmt::Debug for Trusting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trusting").finish_non_exhaustive()
    }
}

impl Trusting {
    /// Who trusts the certificates of a PEM text.
    ///
    /// # Panics
    /// Where there is none in it.
    #[must_use]
    pub fn in_those_of(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.expect("it is PEM")).expect("it is a certificate");
        }
        assert!(!roots.is_empty(), "there is no certificate in it");
        Self(connector(roots))
    }

    /// Connects to `addr` and shakes hands with `name`.
    ///
    /// # Errors
    /// Where the handshake fails, not least over the certificate.
    pub async fn try_connect(&self, addr: SocketAddr, name: &str) -> io::Result<TlsWire> {
        connect(&self.0, addr, name).await
    }
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().expect("the provider has both versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into()
}

async fn connect(connector: &TlsConnector, addr: SocketAddr, name: &str) -> io::Result<TlsWire> {
    let name = ServerName::try_from(name.to_owned()).expect("it is a name of a host");
    let wire = Wire::connect(addr).await;
    Ok(TlsWire::on(within(PATIENCE, connector.connect(name, wire)).await?.into()))
}

/// With a key share as browsers send it, by which a ClientHello is longer than most segments.
fn provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    Arc::new(CryptoProvider { kx_groups, ..default_provider() })
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is entropy")
}

/// What was deciphered, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deciphered {
    /// Every byte so far.
    pub bytes: Vec<u8>,
    /// Whether the other side has said that these are all. An end without that may be anybody's doing.
    pub close_notify: bool,
    /// How the connection under it ended; None while it has not.
    pub end: Option<Ending>,
}

/// One end of a TLS connection after its handshake, in the hands of a test.
#[derive(Debug)]
pub struct TlsWire {
    stream: TlsStream<Wire>,
    deciphered: Deciphered,
}

impl TlsWire {
    fn on(stream: TlsStream<Wire>) -> Self {
        Self { stream, deciphered: Deciphered::default() }
    }

    /// The server's end of `wire`.
    pub(crate) async fn accept(server: &TlsAcceptor, wire: Wire) -> io::Result<Self> {
        Ok(Self::on(within(PATIENCE, server.accept(wire)).await?.into()))
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other side takes it");
    }

    /// Sends all of `bytes`, to somebody who may have gone.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(PATIENCE, self.stream.write_all(bytes.as_ref())).await?;
        within(PATIENCE, self.stream.flush()).await
    }

    /// Says that this was all (`close_notify`), then sends a FIN. The other direction stays open.
    pub async fn close(&mut self) {
        // It fails only where the other side has reset, which whoever reads next is told.
        within(PATIENCE, self.stream.shutdown()).await.unwrap_or_default();
    }

    /// Sends a FIN without having said that this was all, as somebody in between would who cuts.
    pub async fn cut(&mut self) {
        self.stream.get_mut().0.half_close().await;
    }

    /// Everything deciphered so far.
    #[must_use]
    pub fn deciphered(&self) -> &Deciphered {
        &self.deciphered
    }

    /// Resets.
    pub fn reset(self) {
        match self.stream {
            TlsStream::Client(stream) => stream.into_inner().0.reset(),
            TlsStream::Server(stream) => stream.into_inner().0.reset(),
        }
    }

    /// Everything deciphered since the start, once `enough` of it is there or the other side has ended.
    pub async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> &Deciphered {
        let mut buffer = vec![0; 16 * 1024];
        while self.deciphered.end.is_none() && !enough(&self.deciphered.bytes) {
            match within(PATIENCE, self.stream.read(&mut buffer)).await {
                Ok(0) => self.ends(true).await,
                Ok(n) => self.deciphered.bytes.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(error) if is_an_end(&error) => self.ends(false).await,
                Err(error) => panic!("neither bytes nor an end: {error}"),
            }
        }
        &self.deciphered
    }

    /// Everything deciphered since the start, once the other side has ended.
    pub async fn read_to_end(&mut self) -> &Deciphered {
        self.read_until(|_| false).await
    }

    /// TLS has ended; now the connection under it.
    async fn ends(&mut self, close_notify: bool) {
        self.deciphered.close_notify = close_notify;
        self.deciphered.end = self.stream.get_mut().0.read_to_end().await.end;
    }
}

/// Whether the connection ended under TLS, either way. What was altered on its way is neither.
fn is_an_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}
