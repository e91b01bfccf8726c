//! Two that speak TLS with each other in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use proxy_core::mem::{MemStream, pair};
use proxy_core::stream::{Stream, read};
use proxy_tls::rustls::crypto::CryptoProvider;
use proxy_tls::rustls::crypto::aws_lc_rs::default_provider;
use proxy_tls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use proxy_tls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use proxy_tls::{TlsStream, accept, connect};

pub(crate) type Version = &'static SupportedProtocolVersion;

/// A server's configuration with a certificate for `test.example`, and a client's that trusts it, both of one version.
pub(crate) fn configs(version: Version) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    configs_with(version, default_provider())
}

/// The same with that cryptography.
pub(crate) fn configs_with(
    version: Version,
    provider: CryptoProvider,
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["test.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(provider);
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from("test.example").unwrap()
}

/// A client and a server that have shaken hands over a wire that holds so many bytes each way.
pub(crate) async fn shaken(
    version: Version,
    capacity: usize,
) -> (TlsStream<MemStream>, TlsStream<MemStream>) {
    let (server, client) = configs(version);
    let (near, far) = pair(capacity);
    let (client, server) = tokio::join!(connect(near, client, name()), accept(far, server, Vec::new()));
    (client.unwrap(), server.unwrap())
}

/// Everything up to the end.
pub(crate) async fn all(stream: &impl Stream) -> io::Result<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match read(stream, &mut buf).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

pub(crate) fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

/// Runs on a paused clock, under a deadline: what hangs is found out.
pub(crate) fn run<R>(test: impl Future<Output = R>) -> R {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("it hangs") })
}
