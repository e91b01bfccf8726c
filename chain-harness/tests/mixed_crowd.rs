//! TLS, plain requests, keep-alive and long-lived streams through the same chain at the same time, all coming and going.

use std::time::Duration;

use chain_harness::{
    Backend, Chain, Deciphered, Ending, GOODBYE, PATIENCE, Root, UPGRADED, Wire, keep_alive_answer, scenario,
};
use proxy_conn::Cause;

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: chain\r\n\r\n";
const ROUNDS: usize = 3;
const OF_EACH: usize = 10;

/// A chain for each kind of service, all in this process.
struct Kinds {
    plain: Chain,
    keep_alive: Chain,
    tls: Chain,
    stream: Chain,
}

async fn plain(chain: &Chain) {
    let mut client = chain.connect().await;
    client.send(REQUEST).await;
    let received = client.read_to_end().await;
    assert!(received.text().ends_with("\r\n\r\nplain") && received.end == Some(Ending::Fin), "{received:?}");
}

async fn tls(chain: &Chain, root: &Root) {
    let mut client = root.connect(chain.outer.addr(), "a.test").await;
    client.send(REQUEST).await;
    let whole = Deciphered { bytes: b"secret".into(), close_notify: true, end: Some(Ending::Fin) };
    assert_eq!(client.read_to_end().await, &whole);
    client.close().await;
}

async fn keep_alive(chain: &Chain) {
    let mut client = chain.connect().await;
    let answer = keep_alive_answer("kept");
    for n in 1..=3 {
        client.send(REQUEST).await;
        client.read_until(|bytes| bytes.len() == n * answer.len()).await;
    }
    client.half_close().await;
    let received = client.read_to_end().await;
    assert_eq!((received.text(), received.end), (answer.repeat(3), Some(Ending::Fin)));
}

async fn upgrade(chain: &Chain) -> Wire {
    let mut client = chain.connect().await;
    client.send(REQUEST).await;
    client.expect(UPGRADED).await;
    client
}

async fn says_goodbye(mut client: Wire) {
    client.send(GOODBYE).await;
    let received = client.read_to_end().await;
    assert!(received.text().ends_with(GOODBYE) && received.end == Some(Ending::Fin), "{received:?}");
}

#[test]
fn laws_hold() {
    scenario(async {
        let root = Root::new();
        let (plain_at, kept_at) = (Backend::answers("plain"), Backend::keeps_alive("kept"));
        let (stream_at, tls_at) = (Backend::chats(), Backend::tls_answers(&root, &["a.test"], "secret"));
        let kinds = Kinds {
            plain: Chain::to(plain_at.addr()),
            keep_alive: Chain::to(kept_at.addr()),
            tls: Chain::to(tls_at.addr()),
            stream: Chain::to(stream_at.addr()),
        };
        let mut streams = Vec::new();
        for _ in 0..OF_EACH {
            streams.push(upgrade(&kinds.stream).await);
        }
        for round in 0..ROUNDS {
            for speaking in &mut streams {
                speaking.send(format!("round {round}\n")).await;
                tokio::join!(plain(&kinds.plain), keep_alive(&kinds.keep_alive), tls(&kinds.tls, &root));
            }
            says_goodbye(streams.remove(0)).await;
            streams.push(upgrade(&kinds.stream).await);
        }
        for stream in streams {
            says_goodbye(stream).await;
        }
        // All share this process, so its descriptors are back when the last chain is empty.
        kinds.plain.outer.empties(PATIENCE).await;
        kinds.keep_alive.outer.empties(PATIENCE).await;
        kinds.tls.outer.empties(PATIENCE).await;
        kinds.stream.settles().await;
        for chain in [&kinds.plain, &kinds.keep_alive, &kinds.stream, &kinds.tls] {
            for hop in chain.hops() {
                assert!(hop.ends().iter().all(|end| end.cause == Cause::Finished), "{:#?}", hop.ends());
            }
        }
    });
}

/// TLS beside plain bytes on one port of the inner hop, which tells them apart by the name.
#[test]
fn tls_and_plain_on_one_port() {
    scenario(async {
        let root = Root::new();
        let named = Backend::tls_answers(&root, &["a.test"], "secret");
        let backend = Backend::answers("plain");
        let inner = format!(
            r#"
            [[listeners]]
            bind = ["127.0.0.1"]
            accept_proxy = {{ required = ["127.0.0.1/32"] }}
            [[routes]]
            name = "tls"
            match = {{ ports = [PORT_A], domains = ["a.test"] }}
            action = {{ forward = ["{}"] }}
            [[routes]]
            name = "plain"
            match = {{ ports = [PORT_A] }}
            action = {{ forward = ["{}"] }}
            "#,
            named.addr(),
            backend.addr()
        );
        let chain = Chain::in_front("", &inner);
        for _ in 0..3 {
            tokio::join!(tls(&chain, &root), plain(&chain));
        }
        chain.settles().await;
    });
}

/// A stream on which nobody says anything for long is not cut before its own deadline, though all others around it are.
#[test]
fn a_quiet_stream_keeps_its_own_deadline() {
    scenario(async {
        let backend = Backend::chats();
        let quiet = r#"
            timeouts = { inactivity_timeout = "300ms", keep_alive_treatment = "extended", keep_alive_inactivity_multiplier = 5 }
        "#;
        for (inner, expected) in [
            (quiet, Some(Duration::from_millis(1500))),
            (r#"timeouts = { inactivity_timeout = "300ms", keep_alive_treatment = "immortal" }"#, None),
        ] {
            let chain = Chain::with("", inner, &[&backend.addr()]);
            let mut stream = upgrade(&chain).await;
            let since = tokio::time::Instant::now();
            match expected {
                Some(deadline) => {
                    assert_eq!(stream.read_to_end().await.end, Some(Ending::Reset));
                    assert!(since.elapsed() > deadline - Duration::from_millis(50), "{:?}", since.elapsed());
                    assert_eq!(chain.inner.the_end().await.cause, Cause::Idle);
                    drop(stream);
                }
                None => {
                    tokio::time::sleep(Duration::from_millis(1200)).await;
                    says_goodbye(stream).await;
                }
            }
            chain.settles().await;
        }
    });
}

/// A service on which for long not even the first byte is sent says so with `no_data_timeout = "off"`.
#[test]
fn a_stream_without_a_byte_stays_where_that_is_usual() {
    scenario(async {
        let backend = Backend::echo();
        for (setting, stays) in [("\"off\"", true), ("\"300ms\"", false)] {
            let inner = format!("timeouts.no_data_timeout = {setting}");
            let chain = Chain::with("timeouts.no_data_timeout = \"off\"", &inner, &[&backend.addr()]);
            let mut stream = chain.connect().await;
            let ended = tokio::time::timeout(Duration::from_millis(700), stream.read_some()).await;
            assert_eq!(ended.is_err(), stays);
            if stays {
                stream.send("hello").await;
                stream.expect("hello").await;
            } else {
                assert!(stream.received().is_only_a_reset());
            }
            drop(stream);
            chain.settles().await;
        }
    });
}
