//! TLS of the load's clients, which trust every certificate: what it costs them is not measured.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, NamedGroup, SignatureScheme,
};

/// Tickets that are kept: a client takes one, and gets two.
const TICKETS: usize = 1 << 10;

/// What clients speak.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    resumes: bool,
}

impl Tls {
    /// TLS 1.3; `resumes`: with tickets of connections before.
    pub(crate) fn new(resumes: bool) -> Result<Self, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth();
        let kept = Resumption::store(Arc::new(Tickets::default()));
        config.resumption = if resumes { kept } else { Resumption::disabled() };
        Ok(Self { config: Arc::new(config), resumes })
    }

    pub(super) fn begin(&self) -> io::Result<Box<ClientTls>> {
        // INVARIANT: it is the name of a host.
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        Ok(Box::new(ClientTls { tls }))
    }

    /// Whether connections are to be resumed ones.
    pub(super) const fn resumes(&self) -> bool {
        self.resumes
    }
}

/// The TLS of one client.
#[derive(Debug)]
pub(super) struct ClientTls {
    tls: ClientConnection,
}

impl ClientTls {
    /// Sends what is to go out; whether all of it went.
    fn flush(&mut self, fd: &OwnedFd) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Socket(fd)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes bytes to be sent; None where none are taken now.
    pub(super) fn put(&mut self, fd: &OwnedFd, bytes: &[u8]) -> io::Result<Option<usize>> {
        if self.tls.is_handshaking() {
            self.read(fd)?;
        }
        let room = self.flush(fd)?;
        if !room || bytes.is_empty() {
            return Ok(None);
        }
        let n = self.tls.writer().write(bytes)?;
        self.flush(fd)?;
        Ok((n > 0).then_some(n))
    }

    /// Reads once; None where nothing is there now.
    pub(super) fn take(&mut self, fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            self.flush(fd)?;
            match self.tls.reader().read(buffer) {
                Ok(n) => return Ok(Some(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if !self.read(fd)? {
                return Ok(None);
            }
        }
    }

    /// Reads of the wire once; whether there was anything.
    fn read(&mut self, fd: &OwnedFd) -> io::Result<bool> {
        match self.tls.read_tls(&mut Socket(fd)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        self.tls.process_new_packets().map_err(io::Error::other)?;
        Ok(true)
    }

    /// Says that nothing more comes.
    pub(super) fn end(&mut self, fd: &OwnedFd) {
        self.tls.send_close_notify();
        // A proxy that is not there any more is met by the next one.
        self.flush(fd).unwrap_or_default();
    }

    pub(super) fn was_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// A socket, as the library reads and writes one.
struct Socket<'a>(&'a OwnedFd);

fn told(error: Errno) -> io::Error {
    error.into()
}

impl io::Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        recv(self.0, buffer, RecvFlags::empty()).map(|(n, _)| n).map_err(told)
    }
}

impl io::Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, bytes, SendFlags::NOSIGNAL).map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tickets of all connections: the library's own store has room for eight of a server.
#[derive(Debug, Default)]
struct Tickets(Mutex<VecDeque<Tls13ClientSessionValue>>);

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(TICKETS - 1);
        all.push_front(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Trusts everybody: the proxy is the one that was just started.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
