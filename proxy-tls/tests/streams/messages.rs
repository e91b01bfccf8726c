//! What comes between the bytes of a connection: new keys, tickets, a wish to begin anew, records a byte at a time.

use std::io;
use std::task::{Context, Poll};

use proxy_core::mem::{MemStream, pair};
use proxy_core::stream::{Kernel, NoSplice, Stream, read, shutdown, write_all};
use proxy_tls::rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use proxy_tls::rustls::version::{TLS12, TLS13};
use proxy_tls::rustls::{
    ClientConnection, Connection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    SupportedCipherSuite,
};
use proxy_tls::{TlsStream, accept, connect};

use crate::peer::{Peer, Role, shaken_with};
use crate::setup::{all, bytes, configs, name, run};

#[test]
fn new_keys_at_every_message_change_nothing() {
    for role in [Role::Client, Role::Server] {
        run(async {
            let (mut peer, ours) = shaken_with(role, &TLS13, 64 * 1024).await;
            let (said, mut heard) = (bytes(300), [0; 300]);
            for _ in 0..200 {
                peer.tls.refresh_traffic_keys().unwrap();
                peer.say(&said).await;
                let mut have = 0;
                while have < said.len() {
                    have += read(&ours, &mut heard[have..]).await.unwrap();
                }
                assert_eq!(heard[..], said);
                // It was asked to take new keys too, and says so before its answer.
                write_all(&ours, &said).await.unwrap();
                assert_eq!(peer.hears(said.len()).await, said);
            }
            peer.tls.send_close_notify();
            peer.flush().await;
            shutdown(&peer.wire).await.unwrap();
            assert_eq!(read(&ours, &mut heard).await.unwrap(), 0);
        });
    }
}

#[test]
fn new_keys_without_end_and_not_a_byte_are_an_error() {
    run(async {
        let (mut peer, ours) = shaken_with(Role::Client, &TLS13, 64 * 1024).await;
        let error = async {
            let mut buf = [0; 100];
            read(&ours, &mut buf).await.unwrap_err()
        };
        let asks = async {
            for _ in 0..100 {
                peer.tls.refresh_traffic_keys().unwrap();
                peer.flush().await;
            }
        };
        let ((), error) = tokio::join!(asks, error);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("TooManyKeyUpdateRequests"), "{error}");
    });
}

/// A peer's own records under the keys that it has: it says whatever it likes in them.
struct Forger {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
    wire: MemStream,
}

impl Forger {
    /// Of a client of TLS 1.2.
    fn new(peer: Peer) -> Self {
        let Peer { tls, wire } = peer;
        let Some(SupportedCipherSuite::Tls12(suite)) = tls.negotiated_cipher_suite() else {
            panic!("this is not TLS 1.2");
        };
        let (sequence, secrets) = tls.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
            panic!("this is not ChaCha20-Poly1305");
        };
        Self { encrypter: suite.aead_alg.encrypter(key, iv.as_ref(), &[]), sequence, wire }
    }

    async fn say(&mut self, typ: ContentType, payload: &[u8]) {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap().encode();
        self.sequence += 1;
        write_all(&self.wire, &record).await.unwrap();
    }
}

/// A ClientHello as a handshake's message: the first record of a client, without its header.
fn hello() -> Vec<u8> {
    let (_, client) = configs(&TLS12);
    let mut tls = Connection::Client(ClientConnection::new(client, name()).unwrap());
    let mut record = Vec::new();
    tls.write_tls(&mut record).unwrap();
    record.split_off(5)
}

#[test]
fn a_client_that_wants_to_begin_anew_is_told_no_and_the_second_time_is_done_with() {
    run(async {
        let (peer, ours) = shaken_with(Role::Client, &TLS12, 64 * 1024).await;
        let mut forger = Forger::new(peer);
        let mut buf = [0; 100];
        forger.say(ContentType::Handshake, &hello()).await;
        forger.say(ContentType::ApplicationData, b"never mind").await;
        assert_eq!(read(&ours, &mut buf).await.unwrap(), 10);
        // The refusal goes out with the next read or write: a warning alert, encrypted: 5, 2 and 16 bytes.
        assert!(matches!(poll_once(&ours, &mut buf).await, Poll::Pending));
        assert_eq!(read(&forger.wire, &mut buf).await.unwrap(), 23);
        assert_eq!(buf[0], 21, "an alert");
        forger.say(ContentType::Handshake, &hello()).await;
        let error = read(&ours, &mut buf).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("TooManyRenegotiationRequests"), "{error}");
    });
}

async fn poll_once(stream: &impl Stream, buf: &mut [u8]) -> Poll<io::Result<usize>> {
    std::future::poll_fn(|cx| Poll::Ready(stream.poll_read(cx, buf))).await
}

/// The peer takes nothing ever: not the tickets either, for which the wire has no room.
#[test]
fn a_client_that_only_writes_is_read_though_its_tickets_are_on_their_way() {
    for capacity in [40, 200, 4096] {
        run(async {
            let (mut peer, ours) = shaken_with(Role::Client, &TLS13, capacity).await;
            let said = bytes(100_000);
            let ((), heard) = tokio::join!(
                async {
                    peer.say(&said).await;
                    peer.tls.send_close_notify();
                    peer.flush().await;
                },
                all(&ours)
            );
            assert!(heard.unwrap() == said, "{capacity}");
        });
    }
}

/// A wire on which every segment is one byte, and every read takes one.
struct Trickles<S>(S);

impl<S: Stream> Stream for Trickles<S> {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, &mut buf[..1])
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.0.poll_gone(cx)
    }

    fn finish(self) {
        self.0.finish();
    }
}

impl<S: Stream> Kernel for Trickles<S> {
    type Splice = NoSplice;
}

#[test]
fn the_largest_records_in_segments_of_a_byte_arrive_whole() {
    for version in [&TLS13, &TLS12] {
        run(async {
            let (server, client) = configs(version);
            let (near, far) = pair(64 * 1024);
            let (near, far) = (Trickles(near), Trickles(far));
            let (client, server) =
                tokio::join!(connect(near, client, name()), accept(far, server, Vec::new()));
            let (client, server) = (client.unwrap(), server.unwrap());
            // Three records of the largest size, and one of a byte.
            let said = bytes(3 * 16 * 1024 + 1);
            let send = async |stream: &TlsStream<Trickles<MemStream>>| {
                write_all(stream, &said).await.unwrap();
                shutdown(stream).await.unwrap();
            };
            let (.., there, back) = tokio::join!(send(&client), send(&server), all(&server), all(&client));
            assert!(there.unwrap() == said && back.unwrap() == said);
        });
    }
}
