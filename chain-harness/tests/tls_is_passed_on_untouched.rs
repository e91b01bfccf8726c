//! TLS between ends that hold each other to it, by name to one of two backends: long hellos, much of it, and its ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chain_harness::{
    Backend, Chain, Deciphered, Ending, PATIENCE, Root, TlsWire, eventually, pieces, scenario, settled,
};
use proxy_conn::{By, Cause};
use proxy_core::process::pipes;
use tokio::sync::mpsc;

/// Far more than what a hop and the kernel hold for somebody who does not read.
const LARGE: usize = 16 << 20;

/// Nobody has moved a byte for as long when everything is full.
const STILL: Duration = Duration::from_millis(100);

/// Two backends, and a chain whose inner hop chooses between them by name.
struct World {
    root: Root,
    chain: Arc<Chain>,
    a: mpsc::Receiver<TlsWire>,
    b: mpsc::Receiver<TlsWire>,
    _backends: [Backend; 2],
}

impl World {
    fn new() -> Self {
        let root = Root::new();
        let (at_a, a) = Backend::tls_hands_over(&root, &["a.test"]);
        let (at_b, b) = Backend::tls_hands_over(&root, &["b.test", "*.b.test"]);
        let inner = format!(
            r#"
            [[listeners]]
            bind = ["127.0.0.1"]
            accept_proxy = {{ required = ["127.0.0.1/32"] }}
            [[routes]]
            name = "a"
            match = {{ ports = [PORT_A], domains = ["a.test"] }}
            action = {{ forward = ["{}"] }}
            [[routes]]
            name = "b"
            match = {{ ports = [PORT_A], domains = ["b.test", "*.b.test"] }}
            action = {{ forward = ["{}"] }}
            "#,
            at_a.addr(),
            at_b.addr()
        );
        let chain = Arc::new(Chain::in_front("", &inner));
        Self { root, chain, a, b, _backends: [at_a, at_b] }
    }

    /// Both ends of a connection by `name`: the client's, and that of the backend whose name it is.
    async fn connect(&mut self, name: &str) -> (TlsWire, TlsWire) {
        self.connect_at(self.chain.outer.addr(), name).await
    }

    async fn connect_at(&mut self, addr: SocketAddr, name: &str) -> (TlsWire, TlsWire) {
        let backend = if name == "a.test" { &mut self.a } else { &mut self.b };
        let (client, server) = tokio::join!(self.root.connect(addr, name), backend.recv());
        (client, server.expect("the backend runs"))
    }

    /// Bytes that the inner hop has moved of its open connections, both ways.
    fn moved(&self) -> u64 {
        let views = self.chain.inner.tracker().snapshot();
        views.iter().map(|view| view.from_client + view.from_backend).sum()
    }

    /// Sends much, which is not read before nothing moves any more. Gives the most pipes that were open meanwhile.
    async fn passes_much(&self, from: &mut TlsWire, to: &mut TlsWire, expected: &[u8]) -> usize {
        // Workers keep pipes for a while, and these may be another flow's.
        eventually(PATIENCE, || pipes::open() == 0).await;
        let sends = async {
            from.send(expected).await;
            from.close().await;
        };
        let reads = async {
            settled(STILL, || self.moved()).await;
            let mut pipes = 0;
            for read in (0..=expected.len()).step_by(1 << 20) {
                to.read_until(|bytes| bytes.len() >= read).await;
                pipes = pipes.max(pipes::open());
            }
            let Deciphered { bytes, close_notify, end } = to.read_to_end().await;
            assert_eq!((*close_notify, *end), (true, Some(Ending::Fin)), "close_notify, then FIN");
            assert!(bytes == expected, "every byte, and no other");
            pipes
        };
        tokio::join!(sends, reads).1
    }
}

/// Bytes in which no stretch repeats at the size of any buffer.
fn large() -> Vec<u8> {
    (0..).flat_map(u32::to_le_bytes).take(LARGE).collect()
}

#[test]
fn much_each_way_through_pipes_and_the_end_of_each_way_by_itself() {
    scenario(async {
        let (mut world, large) = (World::new(), large());
        for (n, (name, route)) in [("a.test", "a"), ("deep.b.test", "b")].into_iter().enumerate() {
            let (mut client, mut server) = world.connect(name).await;
            let there = world.passes_much(&mut client, &mut server, &large).await;
            let back = world.passes_much(&mut server, &mut client, &large).await;
            assert!(there > 0 && back > 0, "spliced: {there} and {back} pipes were open");
            drop((client, server));
            let end = world.chain.inner.ended(n + 1).await.remove(n);
            assert_eq!((end.route.as_deref(), end.server_name.as_deref()), (Some(route), Some(name)));
            assert_eq!((end.cause, end.by), (Cause::Finished, By::Client));
        }
        world.chain.settles().await;
    });
}

/// What nobody said is not made up on the way: a FIN comes without `close_notify` where it was sent so, a reset as a reset.
#[test]
fn an_end_without_close_notify_stays_one() {
    scenario(async {
        let mut world = World::new();
        let (mut client, mut server) = world.connect("a.test").await;
        server.send("half an ans").await;
        server.cut().await;
        let cut = Deciphered { bytes: b"half an ans".into(), close_notify: false, end: Some(Ending::Fin) };
        assert_eq!(client.read_to_end().await, &cut);
        client.close().await;
        assert_eq!(
            server.read_to_end().await,
            &Deciphered { close_notify: true, end: Some(Ending::Fin), ..Deciphered::default() }
        );
        drop((client, server));
        assert_eq!(world.chain.inner.the_end().await.cause, Cause::Finished);

        let (mut client, server) = world.connect("b.test").await;
        server.reset();
        assert_eq!(
            client.read_to_end().await,
            &Deciphered { end: Some(Ending::Reset), ..Deciphered::default() }
        );
        drop(client);
        assert_eq!(world.chain.inner.ended(2).await.remove(1).cause, Cause::BackendReset);
        world.chain.settles().await;
    });
}

/// A hello with a key share as browsers send it, of which the inner hop gets the next piece when it has read those before.
#[test]
fn a_long_hello_in_pieces() {
    scenario(async {
        let mut world = World::new();
        let (client, server) = world.connect("a.test").await;
        drop((client, server));
        // What the inner hop reads beyond what the client sends is the header; the ids in it stay as long.
        let header =
            world.chain.inner.the_end().await.from_client - world.chain.outer.the_end().await.from_client;
        let chain = Arc::clone(&world.chain);
        let read = move || chain.inner.read_from_clients().saturating_sub(header);
        let slow = pieces(world.chain.outer.addr(), 50, read);
        for (n, name) in ["a.test", "b.test"].into_iter().enumerate() {
            let (mut client, mut server) = world.connect_at(slow.addr(), name).await;
            client.send("request").await;
            server.read_until(|bytes| bytes == b"request").await;
            server.send("answer").await;
            client.read_until(|bytes| bytes == b"answer").await;
            drop((client, server));
            let end = world.chain.inner.ended(n + 2).await.remove(n + 1);
            assert_eq!(end.server_name.as_deref(), Some(name));
            assert!(end.from_client > 1400 + header, "a short hello: {end:?}");
        }
        drop(slow);
        world.chain.settles().await;
    });
}

/// Else the others would show nothing.
#[test]
fn only_those_are_believed_whom_the_root_has_certified_for_that_name() {
    scenario(async {
        let (root, another) = (Root::new(), Root::new());
        let backend = Backend::tls_answers(&root, &["a.test", "*.a.test"], "hello");
        assert!(root.try_connect(backend.addr(), "deep.a.test").await.is_ok());
        let wrong_name = root.try_connect(backend.addr(), "b.test").await.unwrap_err().to_string();
        assert!(wrong_name.contains("not valid for name"), "{wrong_name}");
        let stranger = another.try_connect(backend.addr(), "a.test").await.unwrap_err().to_string();
        assert!(stranger.contains("UnknownIssuer") || stranger.contains("BadSignature"), "{stranger}");
    });
}
