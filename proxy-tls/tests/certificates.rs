//! Which certificate a client gets and which a client takes, and the words for it that the library has no kinds for.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::sync::Arc;

use proxy_core::mem::pair;
use proxy_tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use proxy_tls::{
    Certificate, CertificateStore, Certificates, ClientOptions, Failed, HandshakeFault, ServerOptions,
    TicketKeys, Trust, accept, client_config, connect, server_config,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// A self-signed certificate for `test.example`, and the same in DER; an authority's, as `openssl req -x509` makes them, if so said.
fn certificate(authority: bool) -> (Certificate, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["test.example".to_owned()]).unwrap();
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let made = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (Certificate::new(vec![made.der().clone()], &key).unwrap(), made.der().clone())
}

/// How the handshake of a client of that trust, which asks for `name`, ends for the client and for the server: why it failed.
async fn shake(
    own: Certificate,
    default: bool,
    trust: Trust,
    name: &str,
) -> [Option<(HandshakeFault, String)>; 2] {
    let server = server_config(
        Arc::new(CertificateStore::new(Certificates::new(&[own], default))),
        &ServerOptions::default(),
        &TicketKeys::default(),
    )
    .unwrap();
    let client = client_config(&ClientOptions::default().trust(trust)).unwrap();
    let (near, far) = pair(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    // Both are held until both are done: a stream that is dropped resets.
    let (client, server) = tokio::join!(connect(near, client, name), accept(far, server, Vec::new()));
    let (client, server) = (client.as_ref().err().map(why), server.as_ref().err().map(why));
    [client, server]
}

fn why<S>(failed: &Failed<S>) -> (HandshakeFault, String) {
    (failed.error.fault(), failed.to_string())
}

#[tokio::test]
async fn a_name_that_none_is_for_gets_the_first_one_or_is_told_that_there_is_none() {
    let (own, root) = certificate(false);
    let pinned = || Trust::Pinned(vec![root.clone()].into());
    assert_eq!(shake(own.clone(), true, pinned(), "other.example").await, [None, None]);
    assert_eq!(shake(own.clone(), false, pinned(), "test.example").await, [None, None]);
    let [_, server] = shake(own, false, pinned(), "other.example").await;
    let (fault, said) = server.unwrap();
    assert_eq!(fault, HandshakeFault::NoCertificate);
    assert!(said.starts_with("there is no certificate for the name"), "{said}");
}

#[tokio::test]
async fn an_authoritys_own_certificate_is_refused_with_what_to_do_and_taken_where_it_is_pinned() {
    let (own, root) = certificate(true);
    assert_eq!(
        shake(own.clone(), true, Trust::Pinned(vec![root.clone()].into()), "test.example").await,
        [None, None]
    );
    let [client, _] = shake(own.clone(), true, Trust::Roots(vec![root]), "test.example").await;
    let (fault, said) = client.unwrap();
    assert_eq!(fault, HandshakeFault::CertificateRefused);
    assert!(said.contains("CA:TRUE") && said.contains("pin it"), "{said}");
    let [client, _] = shake(own, true, Trust::Pinned(vec![certificate(true).1].into()), "test.example").await;
    let (_, said) = client.unwrap();
    assert_eq!(said, "the peer's certificate is none of those that are pinned, nor is its key");
}
