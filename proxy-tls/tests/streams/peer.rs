//! A peer that speaks TLS by the library's buffered interface, so that it may do what no stream of ours does.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use proxy_core::mem::MemStream;
use proxy_core::stream::{read, write_all};
use proxy_tls::rustls::crypto::CryptoProvider;
use proxy_tls::rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use proxy_tls::rustls::{ClientConnection, Connection, ServerConnection};

use crate::setup::{Version, configs_with, name};

pub(crate) struct Peer {
    pub(crate) tls: Connection,
    pub(crate) wire: MemStream,
}

/// Which side of the handshake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

impl Peer {
    /// Sends what is to go out.
    pub(crate) async fn flush(&mut self) {
        let mut out = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut out).unwrap();
        }
        write_all(&self.wire, &out).await.unwrap();
    }

    /// Says `bytes`, and nothing of what else there may be to say.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(bytes).unwrap();
        self.flush().await;
    }

    /// Takes in what comes next; whether anything did.
    pub(crate) async fn hear(&mut self) -> bool {
        let mut buf = [0; 16 * 1024];
        let Ok(n @ 1..) = read(&self.wire, &mut buf).await else { return false };
        let mut come = &buf[..n];
        while !come.is_empty() {
            self.tls.read_tls(&mut come).unwrap();
            self.tls.process_new_packets().unwrap();
        }
        true
    }

    /// The next bytes of what the other says, so many of them.
    pub(crate) async fn hears(&mut self, n: usize) -> Vec<u8> {
        let mut heard = vec![0; n];
        let mut have = 0;
        while have < n {
            match self.tls.reader().read(&mut heard[have..]) {
                Ok(more) => have += more,
                Err(_) => assert!(self.hear().await, "it ended after {have} of {n} bytes"),
            }
        }
        heard
    }

    async fn shake(&mut self) {
        while self.tls.is_handshaking() {
            self.flush().await;
            if self.tls.is_handshaking() {
                assert!(self.hear().await, "it ended in the handshake");
            }
        }
        self.flush().await;
    }
}

/// A peer of that role that has shaken hands with a stream of ours, over a wire that holds so many bytes each way.
pub(crate) async fn shaken_with(
    role: Role,
    version: Version,
    capacity: usize,
) -> (Peer, proxy_tls::TlsStream<MemStream>) {
    // One of whose keys a record of one's own is easily made.
    let cipher_suites = vec![
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let provider = CryptoProvider { cipher_suites, ..default_provider() };
    let (mut server, mut client) = configs_with(version, provider);
    Arc::get_mut(&mut client).unwrap().enable_secret_extraction = true;
    Arc::get_mut(&mut server).unwrap().enable_secret_extraction = true;
    let (wire, far) = proxy_core::mem::pair(capacity);
    match role {
        Role::Client => {
            let tls = Connection::Client(ClientConnection::new(client, name()).unwrap());
            let mut peer = Peer { tls, wire };
            let ((), ours) = tokio::join!(peer.shake(), proxy_tls::accept(far, server, Vec::new()));
            (peer, ours.unwrap())
        }
        Role::Server => {
            let tls = Connection::Server(ServerConnection::new(server).unwrap());
            let mut peer = Peer { tls, wire };
            let ((), ours) = tokio::join!(peer.shake(), proxy_tls::connect(far, client, name()));
            (peer, ours.unwrap())
        }
    }
}
