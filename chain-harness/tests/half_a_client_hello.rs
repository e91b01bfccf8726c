//! A port whose routes want to know the name: half a ClientHello, one that comes slowly, and what is none at all.

use std::time::Duration;

use chain_harness::{Backend, Ending, Hop, Wire, scenario};
use proxy_conn::{By, Cause, Phase};
use tokio::time::Instant;

/// The head of a ClientHello's record: handshake, TLS 1.0, 512 bytes to come.
const HEAD: &[u8] = b"\x16\x03\x01\x02\x00";

/// What comes next: a ClientHello of 508 bytes, TLS 1.2, and the start of its random bytes.
const NEXT: &[u8] = b"\x01\x00\x01\xfc\x03\x03RANDOM";

fn hop(named: &Backend, fallback: &Backend) -> Hop {
    Hop::start(&format!(
        r#"
        [timeouts]
        initial_data_timeout = "500ms"
        [[listeners]]
        bind = ["127.0.0.1"]
        [[routes]]
        name = "named"
        match = {{ ports = [PORT_A], domains = ["a.test"] }}
        action = {{ forward = ["{}"] }}
        [[routes]]
        name = "fallback"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{}"] }}
        "#,
        named.addr(),
        fallback.addr()
    ))
}

#[test]
fn and_then_nothing_is_reset_in_time_however_slowly_it_comes() {
    scenario(async {
        let (named, fallback) = (Backend::echo(), Backend::echo());
        let hop = hop(&named, &fallback);
        for slowly in [false, true] {
            let started = Instant::now();
            let mut client = Wire::connect(hop.addr()).await;
            client.send(HEAD).await;
            // A byte now and then does not start the deadline anew.
            for byte in if slowly { NEXT } else { &[] } {
                client.try_send([*byte]).await.unwrap_or_default();
                drop(tokio::time::timeout(Duration::from_millis(100), client.read_some()).await);
            }
            assert!(client.read_to_end().await.is_only_a_reset());
            let elapsed = started.elapsed().as_millis();
            assert!((500..1500).contains(&elapsed), "{elapsed} ms");
        }
        for end in hop.ended(2).await {
            assert_eq!((end.cause, end.phase, end.by), (Cause::HelloTimeout, Phase::Peek, By::Client));
            assert!(end.detail.contains("initial_data_timeout 500ms"), "{}", end.detail);
        }
        assert_eq!(named.accepted() + fallback.accepted(), 0);
        hop.settles().await;
    });
}

#[test]
fn what_is_no_tls_goes_to_the_route_without_a_name() {
    scenario(async {
        let (named, fallback) = (Backend::echo(), Backend::echo());
        let hop = hop(&named, &fallback);
        for (n, bytes) in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\x16", b"\x16\x04"].into_iter().enumerate()
        {
            let mut client = Wire::connect(hop.addr()).await;
            client.send(bytes).await;
            client.half_close().await;
            let received = client.read_to_end().await;
            assert_eq!((received.bytes.as_slice(), received.end), (bytes, Some(Ending::Fin)));
            drop(client);
            let end = hop.ended(n + 1).await.remove(n);
            assert_eq!((end.cause, end.route.as_deref()), (Cause::Finished, Some("fallback")));
        }
        assert_eq!(named.accepted(), 0);
        hop.settles().await;
    });
}

/// A backend might read more from it than the proxy does, so it gets nothing; the client itself has left.
#[test]
fn and_then_the_end_is_reset_too() {
    scenario(async {
        let (named, fallback) = (Backend::echo(), Backend::echo());
        let hop = hop(&named, &fallback);
        for (n, bytes) in [b"\x16\x03", HEAD].into_iter().enumerate() {
            let mut client = Wire::connect(hop.addr()).await;
            client.send(bytes).await;
            client.half_close().await;
            assert!(client.read_to_end().await.is_only_a_reset());
            let end = hop.ended(n + 1).await.remove(n);
            assert_eq!((end.cause, end.by, end.route), (Cause::ClientLeft, By::Client, None));
        }
        assert_eq!(named.accepted() + fallback.accepted(), 0);
        hop.settles().await;
    });
}
