//! TLS goes through the chain untouched, to the backend of the name that the client asks for.

use std::sync::Arc;

use chain_harness::{Certificate, Chain, Handshake, PATIENCE, Process, pieces, scenario};
use proxy_conn::Cause;

/// The name that a client asks for, if any, and the one on the certificate of the server that it has to reach.
const CASES: [(Option<&str>, &str); 5] = [
    (Some("a.test"), "a.test"),
    (Some("b.test"), "b.test"),
    (Some("deep.b.test"), "b.test"),
    (Some("unknown.test"), "fallback.test"),
    (None, "fallback.test"),
];

/// Three servers, and a chain whose inner hop chooses among them by name. None where OpenSSL is not installed.
async fn chain() -> Option<(Chain, Vec<(Certificate, Process)>)> {
    let (mut servers, mut routes) = (Vec::new(), String::new());
    for (name, domains) in [
        ("a.test", r#", domains = ["a.test"]"#),
        ("b.test", r#", domains = ["b.test", "*.b.test"]"#),
        ("fallback.test", ""),
    ] {
        let certificate = Certificate::for_name(name).await?;
        let (server, addr) = certificate.serve().await;
        servers.push((certificate, server));
        routes += &format!(
            r#"
            [[routes]]
            name = "{name}"
            match = {{ ports = [PORT_A]{domains} }}
            action = {{ forward = ["{addr}"] }}
            "#
        );
    }
    let inner = format!(
        r#"
        [[listeners]]
        bind = ["127.0.0.1"]
        accept_proxy = {{ required = ["127.0.0.1/32"] }}
        {routes}
        "#
    );
    Some((Chain::in_front("", &inner), servers))
}

async fn reaches_the_right_one(chain: &Chain, n: usize, at: std::net::SocketAddr) {
    let (asked, expected) = CASES.get(n).copied().expect("there is such a case");
    let handshake = Handshake::at(at, asked).await;
    assert_eq!(handshake, Handshake { reached: expected.to_owned(), answered: true }, "{asked:?}");
    let end = chain.inner.ended(n + 1).await.remove(n);
    assert_eq!((end.route.as_deref(), end.server_name.as_deref()), (Some(expected), asked));
    assert!([Cause::Finished, Cause::ClientReset].contains(&end.cause), "{end:?}");
}

#[test]
fn known_names_an_unknown_one_and_none() {
    scenario(async {
        let Some((chain, _servers)) = chain().await else { return };
        for n in 0..CASES.len() {
            reaches_the_right_one(&chain, n, chain.outer.addr()).await;
        }
        chain.outer.empties(PATIENCE).await;
        chain.inner.empties(PATIENCE).await;
    });
}

/// The inner hop, which looks for the name, gets the hello seven bytes at a time, each when it has read those before.
#[test]
fn with_a_hello_in_small_pieces() {
    scenario(async {
        let Some((chain, _servers)) = chain().await else { return };
        reaches_the_right_one(&chain, 0, chain.outer.addr()).await;
        // What the inner hop reads beyond what the client sends is the header; the ids in it stay as long.
        let header = chain.inner.the_end().await.from_client - chain.outer.the_end().await.from_client;
        let chain = Arc::new(chain);
        let inner = Arc::clone(&chain);
        let read = move || inner.inner.read_from_clients().saturating_sub(header);
        let slow = pieces(chain.outer.addr(), 7, read);
        for n in 1..CASES.len() {
            reaches_the_right_one(&chain, n, slow.addr()).await;
        }
        drop(slow);
        chain.outer.empties(PATIENCE).await;
        chain.inner.empties(PATIENCE).await;
    });
}
