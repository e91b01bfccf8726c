//! Hops that prove to each other that they are: mutual TLS between an outer and an inner one, and all that goes between hops inside of it.

use std::path::Path;

use chain_harness::{Backend, Ending, Hop, PATIENCE, Root, TlsWire, Wire, eventually, scenario};
use proxy_conn::{By, Cause, Phase};
use tempfile::TempDir;

/// A name that all hops have, for clients of a test that ask for one.
const NAME: &str = "hop.test";

/// The authority of the hops, and the files of a test: `outer.pem`, `inner.pem`, and what is added.
struct Files {
    authority: Root,
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let files =
            Self { authority: Root::new(), dir: tempfile::tempdir().expect("there is room for a file") };
        files.identity("outer.pem", "outer-1");
        files.identity("inner.pem", "inner-1");
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("there is room for a file");
    }

    fn identity(&self, file: &str, name: &str) {
        self.write(file, &(self.authority.pem() + &self.authority.own(name, &[NAME]).pem()));
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn text(&self, text: &str) -> String {
        text.replace("DIR", &self.path().to_string_lossy())
    }

    /// The configuration of an inner hop that is taken to `backend`.
    fn inner(&self, backend: &Backend, more: &str) -> String {
        self.text(&format!(
            "[timeouts]\ntls_handshake_timeout = \"1s\"\n[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n\
             hop = \"DIR/inner.pem\"\n[[routes]]\nname = \"inside\"\nmatch = {{ ports = [PORT_A] }}\n\
             action = {{ forward = [\"{}\"] }}\n{more}",
            backend.addr()
        ))
    }

    /// The configuration of an outer hop that is taken to `inner`.
    fn outer(&self, inner: &Hop, more: &str) -> String {
        self.text(&format!(
            "[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"outside\"\n\
             match = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\nhop = \"DIR/outer.pem\"\n{more}",
            inner.addr()
        ))
    }
}

#[test]
fn the_inner_hop_knows_the_client_and_the_hop_and_both_directions_end_in_order() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::answers("answer"));
        let inner = Hop::start(&files.inner(&backend, ""));
        let outer = Hop::start(&files.outer(&inner, ""));
        let mut client = Wire::connect(outer.addr()).await;
        let own = client.local_addr();
        client.send("ques").await;
        inner.has_in(Phase::Relay, 1).await;
        let all = inner.tracker().snapshot();
        let facts = &all.first().expect("it is there").facts;
        assert_eq!(facts.client.map(proxy_core::ClientAddr::socket_addr), Some(own));
        assert_eq!((facts.hop.as_deref(), facts.previous.ids().count()), (Some("outer-1"), 1));
        client.send("tion").await;
        client.half_close().await;
        let got = client.read_to_end().await;
        assert!(got.bytes.ends_with(b"\r\n\r\nanswer") && got.end == Some(Ending::Fin), "{got:?}");
        assert_eq!(backend.first().text(), "question");
        drop(client);
        assert_eq!(
            (outer.the_end().await.cause, inner.the_end().await.cause),
            (Cause::Finished, Cause::Finished)
        );
        settle(outer, inner).await;
    });
}

#[test]
fn a_clients_own_tls_goes_inside_by_name_and_whole() {
    scenario(async {
        let (files, servers) = (Files::new(), Root::new());
        let (backend, mut served) = Backend::tls_hands_over(&servers, &["www.test"]);
        let (inner, outer) = {
            let by_name = |text: String| text.replace("PORT_A] }", "PORT_A], domains = [\"www.test\"] }");
            let inner = Hop::start(&by_name(files.inner(&backend, "")));
            let outer = Hop::start(&by_name(files.outer(&inner, "")));
            (inner, outer)
        };
        let mut client = servers.connect(outer.addr(), "www.test").await;
        let mut server = served.recv().await.expect("it was dialled");
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        client.send(&bytes).await;
        client.close().await;
        let there = server.read_to_end().await.clone();
        assert!(there.bytes == bytes && there.close_notify, "{} bytes", there.bytes.len());
        server.send("answer").await;
        server.close().await;
        assert_eq!(&*client.read_to_end().await.bytes, b"answer");
        drop((client, server));
        assert_eq!(
            (outer.the_end().await.cause, inner.the_end().await.cause),
            (Cause::Finished, Cause::Finished)
        );
        settle(outer, inner).await;
    });
}

#[test]
fn tls_that_ends_at_the_inner_hop_is_inside_of_that_of_the_hops() {
    scenario(async {
        let (files, backend, servers) = (Files::new(), Backend::echo(), Root::new());
        files.write("edge.pem", &servers.certificate(&["www.test"]));
        let terminate =
            "tls = { terminate = { certificates = [{ certificate = \"DIR/edge.pem\" }] } }\n".to_owned();
        let inner = Hop::start(&files.inner(&backend, &terminate));
        let outer = Hop::start(&files.outer(&inner, ""));
        let mut client = servers.connect(outer.addr(), "www.test").await;
        client.send("hello").await;
        client.read_until(|got| got == b"hello").await;
        client.close().await;
        assert!(client.read_to_end().await.close_notify);
        drop(client);
        assert_eq!(
            (outer.the_end().await.cause, inner.the_end().await.cause),
            (Cause::Finished, Cause::Finished)
        );
        // Its certificates are watched, for which it has opened something by now.
        outer.empties(PATIENCE).await;
        inner.empties(PATIENCE).await;
    });
}

#[test]
fn resets_go_through_both_ways() {
    scenario(async {
        let (files, silent) = (Files::new(), Backend::silent());
        let inner = Hop::start(&files.inner(&silent, ""));
        let outer = Hop::start(&files.outer(&inner, ""));
        let mut client = Wire::connect(outer.addr()).await;
        client.send("last words").await;
        eventually(PATIENCE, || silent.first().text() == "last words").await;
        client.reset();
        eventually(PATIENCE, || silent.first().end == Some(Ending::Reset)).await;
        assert_eq!(
            (outer.the_end().await.cause, inner.the_end().await.cause),
            (Cause::ClientReset, Cause::ClientReset)
        );
        settle(outer, inner).await;
        let resets = Backend::resets_after(1, b"half of it");
        let inner = Hop::start(&files.inner(&resets, ""));
        let outer = Hop::start(&files.outer(&inner, ""));
        let mut client = Wire::connect(outer.addr()).await;
        client.send("?").await;
        let got = client.read_to_end().await;
        assert_eq!((&*got.bytes, got.end), (&b"half of it"[..], Some(Ending::Reset)));
        drop(client);
        assert_eq!(
            (outer.the_end().await.cause, inner.the_end().await.cause),
            (Cause::BackendReset, Cause::BackendReset)
        );
        settle(outer, inner).await;
    });
}

/// How the connection of whoever is no hop ends at the inner one, which costs no backend anything.
async fn refused(inner: &Hop, backend: &Backend, said: &str) {
    let end = inner.the_end().await;
    assert_eq!(
        (end.cause, end.phase, end.by),
        (Cause::TlsFailed, Phase::Header, By::Client),
        "{}",
        end.detail
    );
    assert!(end.detail.contains(said), "{}", end.detail);
    assert_eq!(backend.accepted(), 0);
    inner.forget_ends();
}

#[test]
fn whoever_is_no_hop_is_refused_by_what_it_is_and_its_header_is_read_by_nobody() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::silent());
        let inner = Hop::start(&files.inner(&backend, ""));
        let mut plain = Wire::connect(inner.addr()).await;
        plain.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").await;
        assert_eq!(plain.read_to_end().await.bytes.first_chunk(), Some(&[0x15, 3, 3]), "an alert");
        drop(plain);
        refused(&inner, &backend, "not_tls: no hop (this listener has `hop`)").await;
        let stranger = Root::new().own("outer-1", &[]);
        let mut wire =
            files.authority.try_connect_as(&stranger, inner.addr(), NAME).await.expect("told later");
        wire.try_send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").await.unwrap_or_default();
        drop(wire);
        refused(&inner, &backend, "the certificate of outer-1 is of none of the authorities").await;
        drop(files.authority.try_connect(inner.addr(), NAME).await);
        refused(&inner, &backend, "certificate_missing").await;
        let other = Files::new();
        let outer = Hop::start(&other.outer(&inner, ""));
        let mut client = Wire::connect(outer.addr()).await;
        client.send("secret").await;
        client.wait_for_a_reset().await;
        drop(client);
        let end = outer.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::BackendTls, By::Backend));
        assert!(
            end.detail.contains("the certificate of inner-1 is of none of the authorities"),
            "{}",
            end.detail
        );
        assert_eq!(inner.the_end().await.cause, Cause::TlsFailed);
        settle(outer, inner).await;
    });
}

/// Nothing is left of what went through both. What is open of this process is counted by the one that was the last to start, and at the
/// end of the scenario.
async fn settle(outer: Hop, inner: Hop) {
    outer.settles().await;
    inner.empties(PATIENCE).await;
    inner.is_clean().await;
}

/// A client of a test that has proven to `inner` that it is the hop of this name.
async fn proven(files: &Files, name: &str, inner: &Hop) -> TlsWire {
    let own = files.authority.own(name, &[]);
    files.authority.try_connect_as(&own, inner.addr(), NAME).await.expect("it is taken")
}

#[test]
fn a_hop_that_stands_still_is_ended_by_the_deadline_of_what_is_due() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::silent());
        let inner = Hop::start(
            &files.inner(&backend, "").replace("[timeouts]", "[timeouts]\nproxy_header_timeout = \"1s\""),
        );
        let mut half = Wire::connect(inner.addr()).await;
        half.send([0x16, 3, 1]).await;
        half.wait_for_a_reset().await;
        drop(half);
        let end = inner.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::TlsTimeout, Phase::Header, By::Client));
        inner.forget_ends();
        let mut mute = proven(&files, "outer-1", &inner).await;
        assert_eq!(mute.read_to_end().await.end, Some(Ending::Reset));
        drop(mute);
        assert_eq!(inner.the_end().await.cause, Cause::HeaderTimeout);
        assert_eq!(backend.accepted(), 0);
        inner.settles().await;
    });
}

#[test]
fn a_hop_that_leaves_no_header_or_is_cut_is_told_as_what_it_is() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let inner = Hop::start(&files.inner(&backend, ""));
        let mut headless = proven(&files, "outer-1", &inner).await;
        headless.send("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(headless.read_to_end().await.end, Some(Ending::Reset));
        drop(headless);
        assert_eq!(inner.the_end().await.cause, Cause::HeaderMalformed);
        inner.forget_ends();
        let mut cut = proven(&files, "outer-1", &inner).await;
        cut.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nwords").await;
        cut.read_until(|got| got == b"words").await;
        // Whoever is between the hops may send a FIN; that nothing more comes is for the hop to say.
        cut.cut().await;
        eventually(PATIENCE, || backend.first().end == Some(Ending::Reset)).await;
        drop(cut);
        assert_eq!(inner.the_end().await.cause, Cause::ClientTruncated);
        inner.settles().await;
    });
}

#[test]
fn names_say_which_hops_are_let_in() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let named = "hop = { identity = \"DIR/inner.pem\", names = [\"outer-1\", \"*.edge.test\"] }";
        let config = files.inner(&backend, "").replace("hop = \"DIR/inner.pem\"", named);
        let inner = Hop::start(&files.text(&config.replace(&files.text("hop = \"DIR/inner.pem\""), named)));
        for name in ["outer-1", "a.edge.test"] {
            let mut hop = proven(&files, name, &inner).await;
            hop.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello").await;
            hop.read_until(|got| got == b"hello").await;
        }
        eventually(PATIENCE, || inner.ends().len() == 2).await;
        inner.forget_ends();
        let mut other = proven(&files, "outer-2", &inner).await;
        other.try_send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello").await.unwrap_or_default();
        drop(other);
        let end = inner.the_end().await;
        assert!(
            end.detail.contains("the certificate of outer-2 has none of the names that are let in"),
            "{}",
            end.detail
        );
        inner.settles().await;
    });
}

#[test]
fn another_authority_takes_the_place_of_the_first_and_no_connection_is_lost() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let inner = Hop::start(&files.inner(&backend, ""));
        let outer = Hop::start(&files.outer(&inner, ""));
        let mut clients = vec![Wire::connect(outer.addr()).await];
        let next = Root::new();
        let reload = async |files: &Files| {
            assert!(inner.reload(&files.inner(&backend, "")).await.taken);
            assert!(outer.reload(&files.outer(&inner, "")).await.taken);
        };
        // Both believe both; then one after the other gets a certificate of the new one; then the old one is forgotten.
        let both = files.authority.pem() + &next.pem();
        let own = |root: &Root, name: &str| root.own(name, &[NAME]).pem();
        let steps: [[String; 2]; 4] = [
            [
                both.clone() + &own(&files.authority, "outer-1"),
                both.clone() + &own(&files.authority, "inner-1"),
            ],
            [both.clone() + &own(&next, "outer-1"), both.clone() + &own(&files.authority, "inner-1")],
            [both.clone() + &own(&next, "outer-1"), both + &own(&next, "inner-1")],
            [next.pem() + &own(&next, "outer-1"), next.pem() + &own(&next, "inner-1")],
        ];
        for [of_outer, of_inner] in steps {
            files.write("outer.pem", &of_outer);
            files.write("inner.pem", &of_inner);
            reload(&files).await;
            clients.push(Wire::connect(outer.addr()).await);
            for client in &mut clients {
                let before = client.received().bytes.len();
                client.send("still here").await;
                client.read_until(|got| got.get(before..) == Some(b"still here")).await;
            }
        }
        assert_eq!((outer.ends().len(), inner.ends().len()), (0, 0));
        // A file that cannot be used changes nothing.
        files.write("inner.pem", &next.pem());
        let refused = inner.reload(&files.inner(&backend, "")).await;
        assert!(!refused.taken && refused.error.unwrap_or_default().contains("no certificate of this hop"));
        drop(clients);
        settle(outer, inner).await;
    });
}

#[test]
fn a_hop_is_asked_how_it_is_inside_of_the_tls_of_hops() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let inner = Hop::start(&files.inner(&backend, ""));
        let group = format!(
            "[groups.inner]\nmembers = [\"{}\"]\ncheck = {{ kind = \"smartproxy\", interval = \"100ms\", timeout = \"90ms\" }}\n",
            inner.addr()
        );
        let to = format!("forward = [\"{}\"]", inner.addr());
        let outer = Hop::start(&files.outer(&inner, &group).replace(&to, "forward = \"@inner\""));
        eventually(PATIENCE, || inner.ends_of(Cause::Asked) >= 3).await;
        let mut client = Wire::connect(outer.addr()).await;
        client.send("hello").await;
        client.read_until(|got| got == b"hello").await;
        assert_eq!(inner.ends_of(Cause::TlsFailed) + inner.ends_of(Cause::ClientReset), 0);
        drop((client, outer));
        inner.empties(std::time::Duration::from_secs(5)).await;
    });
}
