//! Bytes and ends through TLS, in memory.

use std::io;

use proxy_core::mem::{MemStream, pair};
use proxy_core::stream::{Lent, Stream as _, finish, gone, read, shutdown, write_all};
use proxy_tls::rustls::ProtocolVersion;
use proxy_tls::rustls::version::{TLS12, TLS13};
use proxy_tls::{HandshakeFault, TlsStream, accept, connect, is_truncated};

use crate::setup::{all, bytes, configs, name, run, shaken};

#[test]
fn either_direction_ends_by_itself_and_the_other_goes_on() {
    for version in [&TLS13, &TLS12] {
        run(async {
            let (client, server) = shaken(version, 64 * 1024).await;
            let agreed =
                if version.version == ProtocolVersion::TLSv1_3 { "TLS_AES_256_GCM_SHA384" } else { "ECDHE" };
            assert!(client.agreed().cipher.contains(agreed), "{:?}", client.agreed());
            write_all(&client, b"question").await.unwrap();
            shutdown(&client).await.unwrap();
            assert_eq!(all(&server).await.unwrap(), b"question");
            write_all(&server, b"answer").await.unwrap();
            finish(server).await.unwrap();
            assert_eq!(all(&client).await.unwrap(), b"answer");
            client.finish();
        });
    }
}

#[test]
fn many_bytes_pass_both_ways_at_once_whatever_the_wire_holds() {
    for (capacity, size) in [(1, 40_000), (100, 300_000), (20_000, 3_000_000), (1 << 20, 3_000_000)] {
        for version in [&TLS13, &TLS12] {
            run(async {
                let (client, server) = shaken(version, capacity).await;
                let sent = bytes(size);
                let send = async |stream: &TlsStream<MemStream>| {
                    write_all(stream, &sent).await.unwrap();
                    shutdown(stream).await.unwrap();
                };
                let (.., there, back) =
                    tokio::join!(send(&client), send(&server), all(&server), all(&client));
                assert!(there.unwrap() == sent && back.unwrap() == sent, "{capacity}");
            });
        }
    }
}

/// A client and a server of which the client's TCP can be ended below its TLS.
async fn shaken_over<'n>(
    near: &'n MemStream,
    far: MemStream,
) -> (TlsStream<Lent<'n, MemStream>>, TlsStream<MemStream>) {
    let (server, client) = configs(&TLS13);
    let (client, server) = tokio::join!(connect(Lent(near), client, name()), accept(far, server, Vec::new()));
    (client.unwrap(), server.unwrap())
}

#[test]
fn an_end_without_close_notify_is_truncated_and_not_whole() {
    run(async {
        let (near, far) = pair(64 * 1024);
        let (client, server) = shaken_over(&near, far).await;
        write_all(&client, b"half of it").await.unwrap();
        shutdown(&near).await.unwrap();
        let mut buf = [0; 100];
        assert_eq!(read(&server, &mut buf).await.unwrap(), 10);
        for _ in 0..2 {
            let error = read(&server, &mut buf).await.unwrap_err();
            assert!(is_truncated(&error), "{error}");
        }
        assert!(server.was_truncated());
    });
}

#[test]
fn where_it_is_taken_for_an_end_the_other_direction_goes_on() {
    run(async {
        let (near, far) = pair(64 * 1024);
        let (client, mut server) = shaken_over(&near, far).await;
        server.takes_truncated_for_ended();
        write_all(&client, b"question").await.unwrap();
        shutdown(&near).await.unwrap();
        assert_eq!(all(&server).await.unwrap(), b"question");
        assert!(server.was_truncated());
        write_all(&server, b"answer").await.unwrap();
        finish(server).await.unwrap();
        assert_eq!(all(&client).await.unwrap(), b"answer");
        assert!(!client.was_truncated());
    });
}

#[test]
fn a_reset_stays_a_reset() {
    run(async {
        let (client, server) = shaken(&TLS13, 64 * 1024).await;
        drop(client);
        assert_eq!(gone(&server).await.kind(), io::ErrorKind::ConnectionReset);
        let error = all(&server).await.unwrap_err();
        assert!(!is_truncated(&error) && error.kind() == io::ErrorKind::ConnectionReset, "{error}");
    });
}

#[test]
fn what_is_no_tls_is_told_so_and_gets_an_alert() {
    run(async {
        let (server, _) = configs(&TLS13);
        let (near, far) = pair(1000);
        write_all(&near, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let failed = accept(far, server, Vec::new()).await.unwrap_err();
        assert_eq!(failed.error.fault(), HandshakeFault::NotTls);
        assert_eq!(failed.to_string(), "what came is no TLS");
        failed.stream.finish();
        // A fatal alert: decode_error.
        let mut buf = [0; 100];
        assert_eq!(read(&near, &mut buf).await.unwrap(), 7);
        assert_eq!(buf[..7], [0x15, 3, 3, 0, 2, 2, 50]);
    });
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_and_both_sides_know() {
    run(async {
        let ((server, _), (_, client)) = (configs(&TLS13), configs(&TLS13));
        let (near, far) = pair(64 * 1024);
        let (client, server) = tokio::join!(connect(near, client, name()), async {
            let served = accept(far, server, Vec::new()).await;
            served.map(drop)
        });
        let failed = client.unwrap_err();
        assert_eq!(failed.error.fault(), HandshakeFault::CertificateRefused);
        // Both authorities have the same name.
        assert!(failed.to_string().contains("not signed by the authority"), "{failed}");
        assert_eq!(server.unwrap_err().error.fault(), HandshakeFault::RefusedByPeer);
    });
}

#[test]
fn a_client_that_ends_before_the_handshake_is_done_has_left() {
    run(async {
        let (server, _) = configs(&TLS13);
        let (near, far) = pair(1000);
        write_all(&near, &[0x16, 3, 1]).await.unwrap();
        shutdown(&near).await.unwrap();
        let failed = accept(far, server, Vec::new()).await.unwrap_err();
        assert_eq!(failed.error.fault(), HandshakeFault::Left);
    });
}
