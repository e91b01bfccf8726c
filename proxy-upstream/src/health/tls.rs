//! The check of a TLS server: a whole handshake, and a close in order; and between the two, whatever else is said inside.
//!
//! Whose certificate it is does not matter: it is about whether the server serves, and the check tells it nothing.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use super::cause::Finding;
use super::exchange::{Exchange, Step, Then, closed, too_long};
use super::options::Inside as InsideOf;

/// The longest first flight of a server that is heard out: certificates take a few KiB, and some chains tens.
const MOST: usize = 256 << 10;

/// Who is asked for where nobody is named: an address is not sent as a name.
fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED).into())
}

/// Shakes hands with whoever is there.
pub(super) struct Tls {
    connection: Result<ClientConnection, Error>,
    /// How many bytes were read.
    read: usize,
    inside: Option<Inside>,
}

/// A conversation within the connection.
struct Inside {
    exchange: Box<dyn Exchange>,
    /// What goes before it.
    header: Vec<u8>,
    has_begun: bool,
    heard: Vec<u8>,
}

impl Tls {
    pub(super) fn new(name: Option<&str>) -> Self {
        let name = name.and_then(|name| ServerName::try_from(name.to_owned()).ok()).unwrap_or_else(nobody);
        let connection = CONFIG.clone().and_then(|config| ClientConnection::new(config, name));
        Self { connection, read: 0, inside: None }
    }

    /// A conversation inside of a TLS that is not whoever's, behind this header.
    pub(super) fn inside(inside: &InsideOf, header: Vec<u8>, exchange: Box<dyn Exchange>) -> Self {
        let connection = ClientConnection::new(Arc::clone(&inside.config), nobody());
        let inside = Inside { exchange, header, has_begun: false, heard: Vec::new() };
        Self { connection, read: 0, inside: Some(inside) }
    }

    /// The same with a conversation after the handshake, whose verdict is that of the whole.
    pub(super) fn with(name: Option<&str>, exchange: Box<dyn Exchange>) -> Self {
        let inside = Inside { exchange, header: Vec::new(), has_begun: false, heard: Vec::new() };
        Self { inside: Some(inside), ..Self::new(name) }
    }
}

impl Inside {
    /// Begins, or hears what was decrypted; whether the server is well.
    fn goes_on(
        &mut self,
        connection: &mut ClientConnection,
        new: usize,
        is_closed: bool,
    ) -> Result<bool, Finding> {
        let failed = |error: std::io::Error| Finding::unexpected(format!("no TLS connection: {error}"));
        if !std::mem::replace(&mut self.has_begun, true) {
            let mut first = std::mem::take(&mut self.header);
            first.append(&mut self.exchange.begin().send);
            connection.writer().write_all(&first).map_err(failed)?;
        }
        if new > 0 {
            let before = self.heard.len();
            self.heard.resize(before + new, 0);
            let room = self.heard.get_mut(before..).unwrap_or_default();
            connection.reader().read_exact(room).map_err(failed)?;
            let step = self.exchange.hear(&self.heard)?;
            connection.writer().write_all(&step.send).map_err(failed)?;
            if step.then == Then::Well {
                return Ok(true);
            }
            if self.heard.len() >= self.exchange.most() {
                return Err(too_long(&self.heard));
            }
        }
        if is_closed { Err(closed(&self.heard)) } else { Ok(false) }
    }
}

/// What is to be written.
fn flush(connection: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        // Writing to a Vec cannot fail.
        if !connection.write_tls(&mut bytes).is_ok_and(|written| written > 0) {
            break;
        }
    }
    bytes
}

impl Exchange for Tls {
    fn begin(&mut self) -> Step {
        self.connection.as_mut().map_or_else(|_| Step::default(), |connection| Step::send(flush(connection)))
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let failed = |error: &Error| Finding::unexpected(format!("no TLS handshake: {error}"));
        let connection = self.connection.as_mut().map_err(|error| failed(error))?;
        let mut new = heard.get(self.read..).unwrap_or_default();
        self.read = heard.len();
        let mut is_well = false;
        while !new.is_empty() && !is_well {
            connection.read_tls(&mut new).map_err(|error| failed(&Error::General(error.to_string())))?;
            let state = connection.process_new_packets().map_err(|error| failed(&error))?;
            if connection.is_handshaking() {
                continue;
            }
            is_well = match &mut self.inside {
                None => true,
                Some(inside) => {
                    inside.goes_on(connection, state.plaintext_bytes_to_read(), state.peer_has_closed())?
                }
            };
        }
        if !is_well {
            return Ok(Step::send(flush(connection)));
        }
        connection.send_close_notify();
        Ok(Step::well(flush(connection)))
    }

    fn most(&self) -> usize {
        MOST
    }
}

static CONFIG: LazyLock<Result<Arc<ClientConfig>, Error>> = LazyLock::new(|| {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let anybody = Arc::new(Anybody(provider));
    let mut config = config.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
    // Each handshake is a whole one: a ticket that is taken says less of the server.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
});

/// Takes any certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::talk;
    use super::super::options::CheckKind;
    use super::*;

    #[test]
    fn the_first_word_names_whom_it_is_told_to_name_and_nobody_else() {
        for name in [Some("a.test"), None] {
            let hello = Tls::new(name).begin().send;
            assert_eq!((hello[0], hello.windows(6).any(|part| part == b"a.test")), (0x16, name.is_some()));
        }
    }

    #[test]
    fn another_protocol_is_no_handshake() {
        let (_, verdict) = talk(&CheckKind::Tls(None), b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let said = verdict.unwrap_err().to_string();
        assert!(said.starts_with("no TLS handshake: "), "{said}");
    }
}
