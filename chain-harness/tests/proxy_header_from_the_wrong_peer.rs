//! Who may send a PROXY header, who must, and what happens to the others.

use std::time::Duration;

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, eventually, scenario};
use proxy_conn::{By, Cause, Phase};
use tokio::time::Instant;

/// A header that claims another client.
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n";
/// The same in version 2.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xce\xd9\x01\xbb";

/// A network in which no client of these tests is, and the one in which they all are.
const OTHERS: &str = "192.0.2.0/24";
const OURS: &str = "127.0.0.1/32";

/// A hop whose peers in `network` have to send a header, and all others must not or may not even connect.
fn hop(rule: &str, network: &str, backend: &Backend) -> Hop {
    let target = backend.addr();
    Hop::start(&format!(
        r#"
        [timeouts]
        proxy_header_timeout = "500ms"
        [[listeners]]
        bind = ["127.0.0.1"]
        accept_proxy = {{ {rule} = ["{network}"] }}
        [[routes]]
        name = "only"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{target}"] }}
        "#
    ))
}

#[test]
fn where_it_is_required_an_untrusted_peer_is_reset_and_nothing_is_dialled() {
    scenario(async {
        let backend = Backend::echo();
        let hop = hop("required", OTHERS, &backend);
        let mut client = Wire::connect(hop.addr()).await;
        assert!(client.read_to_end().await.is_only_a_reset());
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::HeaderUntrusted, Phase::Header, By::Client));
        assert!(end.detail.starts_with("127.0.0.1 may not connect here"), "{}", end.detail);
        assert_eq!(backend.accepted(), 0);
        hop.settles().await;
    });
}

#[test]
fn where_others_must_not_an_untrusted_peer_is_reset_for_one_and_the_backend_never_gets_its_signature() {
    scenario(async {
        let backend = Backend::silent();
        let hop = hop("required_from", OTHERS, &backend);
        let mut forgeries = 0;
        // The last byte of its signature gives a header away: whoever sends on may find the connection reset.
        for (header, signature) in [(V1, 6), (V2, 12)] {
            for byte_by_byte in [false, true] {
                let mut client = Wire::connect(hop.addr()).await;
                match byte_by_byte {
                    true => client.send_byte_by_byte(header.get(..signature).unwrap()).await,
                    false => client.send([header, b"payload"].concat()).await,
                }
                assert!(client.read_to_end().await.is_only_a_reset());
                forgeries += 1;
                let end = hop.ended(forgeries).await.remove(forgeries - 1);
                assert_eq!((end.cause, end.by), (Cause::HeaderUntrusted, By::Client));
                assert!(end.detail.starts_with("127.0.0.1 sent a PROXY header"), "{}", end.detail);
            }
        }
        hop.settles().await;
        // A front of it, if the sender is slow: who says so much may be waiting for an answer.
        let is_harmless = |bytes: &[u8]| {
            [(V1, 6), (V2, 12)]
                .iter()
                .any(|(header, signature)| bytes.len() < *signature && header.starts_with(bytes))
        };
        assert!(backend.visits().iter().all(|visit| is_harmless(&visit.bytes)), "{:?}", backend.visits());
    });
}

#[test]
fn where_others_must_not_bytes_that_only_begin_like_one_go_through() {
    scenario(async {
        let backend = Backend::echo();
        let hop = hop("required_from", OTHERS, &backend);
        for harmless in ["PROXIMA", "P", "\r\n\r\n!"] {
            let mut client = Wire::connect(hop.addr()).await;
            client.send_byte_by_byte(harmless).await;
            client.half_close().await;
            let received = client.read_to_end().await;
            assert_eq!((received.text().as_str(), received.end), (harmless, Some(Ending::Fin)));
        }
        hop.settles().await;
    });
}

#[test]
fn where_others_must_not_a_banner_reaches_a_client_that_waits_for_it() {
    scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            wire.try_send("220 ready\r\n").await.unwrap_or_default();
            wire.read_to_end().await;
            wire.half_close().await;
        });
        let hop = hop("required_from", OTHERS, &backend);
        let mut client = Wire::connect(hop.addr()).await;
        client.expect("220 ready\r\n").await;
        client.send("EHLO\r\n").await;
        client.half_close().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        assert_eq!(backend.first().text(), "EHLO\r\n");
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.client), (Cause::Finished, Some(client.local_addr())));
        drop(client);
        hop.settles().await;
    });
}

#[test]
fn a_trusted_peer_without_one_is_reset_in_time_however_slowly_it_writes() {
    scenario(async {
        let backend = Backend::echo();
        for rule in ["required", "required_from"] {
            let hop = hop(rule, OURS, &backend);
            let started = Instant::now();
            let mut client = Wire::connect(hop.addr()).await;
            // A byte now and then does not start the deadline anew.
            for byte in V1 {
                let ended = client.try_send([*byte]).await.is_err();
                if ended || tokio::time::timeout(Duration::from_millis(50), client.read_some()).await.is_ok()
                {
                    break;
                }
            }
            assert!(client.read_to_end().await.is_only_a_reset());
            drop(client);
            let elapsed = started.elapsed().as_millis();
            assert!((500..1500).contains(&elapsed), "{elapsed} ms");
            let end = hop.the_end().await;
            assert_eq!((end.cause, end.phase, end.by), (Cause::HeaderTimeout, Phase::Header, By::Client));
            assert!(end.detail.contains("proxy_header_timeout 500ms"), "{}", end.detail);
            hop.settles().await;
        }
        assert_eq!(backend.accepted(), 0);
    });
}

#[test]
fn a_trusted_peer_just_in_time_is_served_and_believed() {
    scenario(async {
        let backend = Backend::echo();
        for rule in ["required", "required_from", "optional"] {
            let hop = hop(rule, OURS, &backend);
            let mut client = Wire::connect(hop.addr()).await;
            eventually(PATIENCE, || hop.tracker().len() == 1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            client.send([V2, b"hello"].concat()).await;
            client.expect("hello").await;
            client.half_close().await;
            assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
            let end = hop.the_end().await;
            assert_eq!((end.cause, end.client), (Cause::Finished, Some("192.0.2.7:52953".parse().unwrap())));
            assert_eq!(end.peer, client.local_addr());
            drop(client);
            hop.settles().await;
        }
    });
}
