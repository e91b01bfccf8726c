//! A trusted peer sends what is no PROXY header: it is reset, the log says what was wrong, and nothing is dialled.

use chain_harness::{Backend, Hop, Wire, config, scenario};
use proxy_conn::{By, Cause, Phase};

const BAD: &[(&str, &[u8])] = &[
    ("no header at all", b"GET / HTTP/1.1\r\n\r\n"),
    ("a port that is no number", b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 x\r\n"),
    ("an address too few", b"PROXY TCP4 192.0.2.7\r\n"),
    ("a v2 version that does not exist", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c"),
    ("a v2 header longer than we take", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"),
    ("a v2 header too short for its addresses", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04\x7f\0\0\x01"),
];

/// What could still become one, of a peer that closes there.
const BROKEN: &[&[u8]] = &[b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0"];

#[test]
fn is_reset_with_a_reason() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config::inner("", &[&backend.addr()]));
        for (n, (what, bytes)) in BAD.iter().enumerate() {
            let mut client = Wire::connect(hop.addr()).await;
            client.send(bytes).await;
            assert!(client.read_to_end().await.is_only_a_reset(), "{what}");
            let end = hop.ended(n + 1).await.remove(n);
            let (cause, phase, by) = (end.cause, end.phase, end.by);
            assert_eq!((cause, phase, by), (Cause::HeaderMalformed, Phase::Header, By::Client), "{what}");
            assert!(!end.detail.is_empty(), "{what}");
        }
        assert_eq!(backend.accepted(), 0);
        hop.settles().await;
    });
}

#[test]
fn a_peer_that_closes_in_the_middle_of_one_has_left() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config::inner("", &[&backend.addr()]));
        for (n, bytes) in BROKEN.iter().enumerate() {
            let mut client = Wire::connect(hop.addr()).await;
            client.send(bytes).await;
            client.half_close().await;
            assert!(client.read_to_end().await.is_only_a_reset());
            let end = hop.ended(n + 1).await.remove(n);
            assert_eq!((end.cause, end.phase, end.by), (Cause::ClientLeft, Phase::Header, By::Client));
            let came = format!("closed after {} byte", bytes.len());
            assert!(
                end.detail.contains(&came) && end.detail.ends_with(" of a PROXY header"),
                "{}",
                end.detail
            );
        }
        assert_eq!(backend.accepted(), 0);
        hop.settles().await;
    });
}
