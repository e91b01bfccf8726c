//! TLS in a simulated world: real TLS of the product's library, over simulated streams, in simulated time.
//!
//! Its random numbers and the clock that certificates and tickets are held against are the machine's, since the library has no seam
//! for either. What a world comes to does not depend on them: keys are Ed25519, so that every record has the size that it has in
//! every other run, and what is in one no hop and no law looks at.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use proxy_core::Stream;
use proxy_core::header::{Decoded, HeaderLimits, decode};
use proxy_core::stream::{self, Lent, NoSplice, read};
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::rustls::{ClientConfig, ServerConfig};
use proxy_tls::{
    Certificate, CertificateStore, Certificates, ClientOptions, HandshakeError, MaybeTls, ServerOptions,
    TicketKeys, Trust, accept, certificates_from_pem, client_config, connect, server_config,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SerialNumber};
use tempfile::TempDir;

use super::stream::SimStream;

/// The name that clients with a ClientHello ask for, and that every server has a certificate for.
pub(super) const NAME: &str = "a.test";

/// The certificate of every server of a world, which is the one that every client trusts, and its key; in PEM.
fn pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("there is entropy");
        let mut params = CertificateParams::new([NAME.to_owned()]).expect("it is a name of a host");
        params.serial_number = Some(SerialNumber::from(vec![1]));
        params.self_signed(&key).expect("it signs itself").pem() + &key.serialize_pem()
    })
}

/// What those of a world need who speak TLS: files for hops, configurations for the ends.
pub(super) struct Keys {
    dir: TempDir,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Keys {
    pub(super) fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().expect("there is room for a file");
        fs::write(dir.path().join(FILE), pem()).expect("there is room for a file");
        let own = Certificate::from_pem(pem().as_bytes(), pem().as_bytes()).expect("it was just made");
        let store = Arc::new(CertificateStore::new(Certificates::new(&[own], true)));
        let roots = certificates_from_pem(pem().as_bytes()).expect("it was just made");
        Arc::new(Self {
            dir,
            client: client_config(&ClientOptions::default().trust(Trust::Roots(roots)))
                .expect("it has a root"),
            server: server_config(store, &ServerOptions::default(), &TicketKeys::default())
                .expect("there is entropy"),
        })
    }

    /// Where the file is that has the certificate and its key.
    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }
}

/// The name of the file in it.
const FILE: &str = "all.pem";

/// What a hop does with TLS.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HopTls<'k> {
    /// Ends its clients'.
    pub(super) terminates: Option<&'k Path>,
    /// Speaks it to its targets.
    pub(super) reencrypts: Option<&'k Path>,
}

impl HopTls<'_> {
    /// What each of its routes says; nothing where its TLS passes through.
    pub(super) fn line(self) -> String {
        let file = |folder: &Path| folder.join(FILE).to_string_lossy().into_owned();
        let terminates = self.terminates.map(|folder| {
            format!("terminate = {{ certificates = [{{ certificate = \"{}\" }}] }}", file(folder))
        });
        let reencrypts = self.reencrypts.map(|folder| {
            let file = file(folder);
            format!("reencrypt = {{ trust = {{ roots = \"{file}\" }}, server_name = \"{NAME}\" }}")
        });
        let both: Vec<_> = terminates.into_iter().chain(reencrypts).collect();
        if both.is_empty() { String::new() } else { format!("tls = {{ {} }}\n", both.join(", ")) }
    }
}

/// How an end speaks.
#[derive(Clone, Default)]
pub(super) enum Speaks {
    /// In the clear.
    #[default]
    Plainly,
    /// As TLS' client, of whose handshake no more than so many bytes are sent, where that is said.
    AsClient(Arc<Keys>, Option<u16>),
    /// As TLS' server.
    AsServer(Arc<Keys>),
}

/// What an end speaks over.
pub(super) type Spoken<'s> = MaybeTls<Lent<'s, SimStream>>;

impl Speaks {
    /// Shakes hands over `stream`, where it is spoken to in that way; where a PROXY header comes first, that is taken off.
    pub(super) async fn begin<'s>(
        &self,
        stream: &'s SimStream,
        header_first: bool,
    ) -> io::Result<Spoken<'s>> {
        match self {
            Self::Plainly => Ok(MaybeTls::Plain(Lent(stream))),
            Self::AsClient(keys, None) => {
                let shaken = connect(Lent(stream), Arc::clone(&keys.client), name()).await;
                shaken.map(MaybeTls::Tls).map_err(|failed| broken(failed.error))
            }
            Self::AsClient(keys, Some(most)) => {
                let stops = Stops { stream, left: AtomicUsize::new(usize::from(*most)) };
                let shaken = connect(stops, Arc::clone(&keys.client), name()).await;
                Err(shaken.err().map_or_else(|| io::ErrorKind::Other.into(), |failed| broken(failed.error)))
            }
            Self::AsServer(keys) => {
                let ahead = if header_first { behind_the_header(stream).await? } else { Vec::new() };
                let shaken = accept(Lent(stream), Arc::clone(&keys.server), ahead).await;
                shaken.map(MaybeTls::Tls).map_err(|failed| broken(failed.error))
            }
        }
    }

    /// Whether it says no more than a part of its handshake.
    pub(super) fn stops(&self) -> bool {
        matches!(self, Self::AsClient(_, Some(_)))
    }

    /// Whether it is the server's side of TLS.
    pub(super) fn serves(&self) -> bool {
        matches!(self, Self::AsServer(_))
    }

    /// Whether a PROXY header is still to be taken off when it has begun.
    pub(super) fn leaves_header(&self) -> bool {
        matches!(self, Self::Plainly)
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("it is a name of a host")
}

fn broken(error: HandshakeError) -> io::Error {
    io::Error::other(error)
}

/// Reads a PROXY header; what came behind it.
async fn behind_the_header(stream: &SimStream) -> io::Result<Vec<u8>> {
    let (mut come, mut buffer) = (Vec::new(), vec![0; 4096]);
    loop {
        match decode(&come, &HeaderLimits::default().max_v2(4096)) {
            Ok(Some(Decoded { len, .. })) => return Ok(come.split_off(len)),
            Ok(None) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        match read(stream, &mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => come.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// A stream over which so many bytes more go out, and then none.
struct Stops<'s> {
    stream: &'s SimStream,
    left: AtomicUsize,
}

impl Stream for Stops<'_> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let left = self.left.load(Ordering::Relaxed);
        let most = buf.get(..left).unwrap_or(buf);
        if most.is_empty() {
            return Poll::Pending;
        }
        let n = ready!(self.stream.poll_write(cx, most))?;
        self.left.store(left - n, Ordering::Relaxed);
        Poll::Ready(Ok(n))
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.stream.poll_gone(cx)
    }

    fn finish(self) {}
}

impl stream::Kernel for Stops<'_> {
    type Splice = NoSplice;
}
