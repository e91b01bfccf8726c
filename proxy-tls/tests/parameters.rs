//! What is agreed upon where either side may speak less than all, and the keys that are written where that is asked for.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use proxy_core::mem::pair;
use proxy_tls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use proxy_tls::{
    Agreed, Certificate, CertificateStore, Certificates, Cipher, ClientOptions, Group, HandshakeFault,
    Parameters, Pins, ServerOptions, TicketKeys, Trust, Version, accept, client_config, connect, log_keys_to,
    server_config,
};
use rcgen::{CertificateParams, KeyPair};

/// What a server and a client of those parameters agree upon, or how the server's handshake fails. The server is known by its key.
async fn agreed(server: Parameters, client: Parameters) -> Result<Agreed, HandshakeFault> {
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new(["test.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let own = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let own = Certificate::new(vec![made.der().clone()], &own).unwrap();
    let store = Arc::new(CertificateStore::new(Certificates::new(&[own], true)));
    let server =
        server_config(store, &ServerOptions::default().parameters(server), &TicketKeys::default()).unwrap();
    let pins = Pins::from_pem(key.public_key_pem().as_bytes()).unwrap();
    let options = ClientOptions::default().trust(Trust::Pinned(pins)).parameters(client);
    let client = client_config(&options).unwrap();
    let (near, far) = pair(64 * 1024);
    let name = ServerName::try_from("any.example").unwrap();
    let (client, server) = tokio::join!(connect(near, client, name), accept(far, server, Vec::new()));
    let server = server.as_ref().map(proxy_tls::TlsStream::agreed).map_err(|failed| failed.error.fault());
    assert_eq!(client.is_ok(), server.is_ok());
    server
}

fn all() -> Parameters {
    Parameters::default()
}

#[tokio::test]
async fn what_either_side_rules_out_is_not_agreed_upon() {
    let older = agreed(all().max_version(Version::V12), all()).await.unwrap();
    assert_eq!((older.version, older.cipher), ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
    let one = all().ciphers(vec![Cipher::ChaCha20]).groups(vec![Group::P256]);
    for (server, client) in [(one.clone(), all()), (all(), one)] {
        let agreed = agreed(server, client).await.unwrap();
        let expected = ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", Some("secp256r1"));
        assert_eq!((agreed.version, agreed.cipher, agreed.group), expected);
    }
    let nothing = agreed(all().min_version(Version::V13), all().max_version(Version::V12)).await;
    assert_eq!(nothing, Err(HandshakeFault::NothingInCommon));
}

/// A server that finds no protocol in common has its hello queued when it does: the alert goes behind it.
#[tokio::test]
async fn whatever_a_server_has_begun_to_say_the_alert_is_said_too() {
    for version in [Version::V12, Version::V13] {
        let made = rcgen::generate_simple_self_signed(["test.example".to_owned()]).unwrap();
        let own = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let own = Certificate::new(vec![made.cert.der().clone()], &own).unwrap();
        let store = Arc::new(CertificateStore::new(Certificates::new(&[own], true)));
        let options = ServerOptions::default().alpn(vec![b"http/1.1".to_vec()]);
        let server = server_config(store, &options, &TicketKeys::default()).unwrap();
        let trust = Trust::Roots(vec![made.cert.der().clone()]);
        let options = ClientOptions::default().trust(trust).alpn(vec![b"h2".to_vec()]);
        let client = client_config(&options.parameters(all().max_version(version))).unwrap();
        let (near, far) = pair(64 * 1024);
        let name = ServerName::try_from("test.example").unwrap();
        let server = accept(far, server, Vec::new());
        let (client, server) = tokio::join!(connect(near, client, name), server);
        assert_eq!(server.unwrap_err().error.fault(), HandshakeFault::NoProtocol);
        assert_eq!(client.unwrap_err().error.fault(), HandshakeFault::NoProtocol, "{version:?}");
    }
}

/// A client that names the group first sends a share of it.
#[tokio::test]
async fn a_post_quantum_share_is_taken_where_it_is_sent() {
    let wish = all().groups(vec![Group::X25519MlKem768, Group::X25519]);
    let agreed = agreed(all(), wish).await.unwrap();
    assert_eq!(agreed.group, Some("X25519MLKEM768"));
}

/// The only test of this process that has it so: it is for all configurations made from then on.
#[tokio::test]
async fn keys_are_written_to_a_file_of_its_owner_alone_where_that_is_asked_for() {
    let file = std::env::temp_dir().join(format!("smartproxy-keys-{}", std::process::id()));
    log_keys_to(&file).unwrap();
    assert_eq!(log_keys_to(&file).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    agreed(all(), all()).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    for label in ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"] {
        let line = text.lines().find(|line| line.starts_with(label)).unwrap();
        let words: Vec<_> = line.split(' ').map(str::len).collect();
        assert_eq!(words, [label.len(), 64, 96], "{line}");
    }
}
