//! A route ends its clients' TLS, speaks TLS to its backends, or both: bytes and ends go through as they do without.

use std::path::Path;
use std::time::Duration;

use chain_harness::{Backend, Ending, Hop, PATIENCE, Root, TlsWire, Wire, eventually, scenario};
use proxy_conn::{By, Cause, Phase};
use tempfile::TempDir;

const NAME: &str = "edge.test";

/// The files of a test: certificates that its root has made.
struct Files {
    root: Root,
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { root: Root::new(), dir: tempfile::tempdir().expect("there is room for a file") };
        files.write("edge.pem", &files.root.certificate(&[NAME]));
        files.write("root.pem", &files.root.pem());
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("there is room for a file");
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A hop whose one route is taken to `backend`, with this for its `tls`, in which `DIR` is the folder of the files.
    fn hop(&self, backend: &Backend, tls: &str) -> Hop {
        Hop::start(&self.config(backend, tls))
    }

    fn config(&self, backend: &Backend, tls: &str) -> String {
        let tls = tls.replace("DIR", &self.path().to_string_lossy());
        format!(
            "[timeouts]\ntls_handshake_timeout = \"1s\"\n[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n\
             [[routes]]\nname = \"edge\"\nmatch = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\ntls = {tls}\n",
            backend.addr()
        )
    }

    async fn client(&self, hop: &Hop) -> TlsWire {
        self.root.connect(hop.addr(), NAME).await
    }
}

const TERMINATE: &str = r#"{ terminate = { certificates = [{ certificate = "DIR/edge.pem" }] } }"#;
const REENCRYPT: &str =
    r#"{ reencrypt = { trust = { roots = "DIR/root.pem" }, server_name = "inner.test" } }"#;
const BOTH: &str = r#"{ terminate = { certificates = [{ certificate = "DIR/edge.pem" }] }, reencrypt = { trust = { roots = "DIR/root.pem" }, server_name = "inner.test" } }"#;

#[test]
fn either_side_ends_its_direction_by_close_notify_and_the_other_goes_on() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::answers("answer"));
        let hop = files.hop(&backend, TERMINATE);
        let mut client = files.client(&hop).await;
        client.send("question").await;
        client.close().await;
        let got = client.read_to_end().await.clone();
        assert!(got.bytes.ends_with(b"\r\n\r\nanswer"), "{}", String::from_utf8_lossy(&got.bytes));
        assert_eq!((got.close_notify, got.end), (true, Some(Ending::Fin)));
        assert_eq!(backend.first().text(), "question");
        drop(client);
        assert_eq!(hop.the_end().await.cause, Cause::Finished);
        hop.settles().await;
    });
}

#[test]
fn through_tls_on_both_sides_megabytes_arrive_whole() {
    scenario(async {
        let files = Files::new();
        let (backend, mut served) = Backend::tls_hands_over(&files.root, &["inner.test"]);
        let hop = files.hop(&backend, BOTH);
        let mut client = files.client(&hop).await;
        let mut server = served.recv().await.expect("it was dialled");
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let send = async |wire: &mut TlsWire| wire.send(&bytes).await;
        send(&mut client).await;
        client.close().await;
        let there = server.read_to_end().await.clone();
        assert!(there.bytes == bytes && there.close_notify, "{} bytes", there.bytes.len());
        server.send("answer").await;
        server.close().await;
        let back = client.read_to_end().await.clone();
        assert_eq!((&*back.bytes, back.close_notify), (&b"answer"[..], true));
        drop((client, server));
        assert_eq!(hop.the_end().await.cause, Cause::Finished);
        hop.settles().await;
    });
}

#[test]
fn a_backend_that_resets_is_never_told_as_a_whole_answer() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::resets_after(1, b"half of it"));
        let hop = files.hop(&backend, TERMINATE);
        let mut client = files.client(&hop).await;
        client.send("?").await;
        let got = client.read_to_end().await.clone();
        assert_eq!(
            (&*got.bytes, got.close_notify, got.end),
            (&b"half of it"[..], false, Some(Ending::Reset))
        );
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::BackendReset, By::Backend));
        hop.settles().await;
    });
}

#[test]
fn a_client_that_resets_resets_the_backend() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::silent());
        let hop = files.hop(&backend, TERMINATE);
        let mut client = files.client(&hop).await;
        client.send("last words").await;
        eventually(PATIENCE, || backend.first().text() == "last words").await;
        client.reset();
        eventually(PATIENCE, || backend.first().end == Some(Ending::Reset)).await;
        assert_eq!(hop.the_end().await.cause, Cause::ClientReset);
        hop.settles().await;
    });
}

/// How the backend of a client that cuts is ended, under this `tls`.
fn is_cut(tls: &str, expected: Ending) {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let hop = files.hop(&backend, tls);
        let mut client = files.client(&hop).await;
        client.send("words").await;
        client.read_until(|got| got == b"words").await;
        client.cut().await;
        eventually(PATIENCE, || backend.first().end == Some(expected)).await;
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::ClientTruncated, By::Client));
        hop.settles().await;
    });
}

#[test]
fn a_client_that_ends_without_close_notify_ends_its_backend() {
    is_cut(TERMINATE, Ending::Fin);
}

#[test]
fn where_the_end_is_the_end_of_the_message_it_resets_its_backend() {
    is_cut(&TERMINATE.replace("edge.pem\" }] }", "edge.pem\" }], truncated = \"reset\" }"), Ending::Reset);
}

#[test]
fn a_backend_that_ends_without_close_notify_never_becomes_one_that_did() {
    scenario(async {
        let files = Files::new();
        let (backend, mut served) = Backend::tls_hands_over(&files.root, &["inner.test"]);
        let hop = files.hop(&backend, BOTH);
        let mut client = files.client(&hop).await;
        let mut server = served.recv().await.expect("it was dialled");
        server.send("half of it").await;
        server.cut().await;
        let got = client.read_to_end().await.clone();
        assert_eq!(
            (&*got.bytes, got.close_notify, got.end),
            (&b"half of it"[..], false, Some(Ending::Reset))
        );
        drop((client, server));
        assert_eq!(hop.the_end().await.cause, Cause::BackendTruncated);
        hop.settles().await;
    });
}

#[test]
fn a_handshake_that_is_not_done_in_time_costs_no_backend_anything() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::silent());
        let hop = files.hop(&backend, TERMINATE);
        let mut client = Wire::connect(hop.addr()).await;
        client.send([0x16, 3, 1]).await;
        hop.has_in(Phase::Tls, 1).await;
        client.wait_for_a_reset().await;
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::TlsTimeout, Phase::Tls, By::Client));
        assert!(end.detail.contains("tls_handshake_timeout 1s"), "{}", end.detail);
        assert_eq!(backend.accepted(), 0);
        hop.settles().await;
    });
}

#[test]
fn what_is_no_tls_gets_an_alert_and_costs_no_backend_anything() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::silent());
        let hop = files.hop(&backend, TERMINATE);
        let mut client = Wire::connect(hop.addr()).await;
        client.send("GET\r\n").await;
        let got = client.read_to_end().await;
        assert_eq!(got.bytes.first_chunk(), Some(&[0x15, 3, 3]));
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.phase), (Cause::TlsFailed, Phase::Tls));
        assert!(end.detail.starts_with("not_tls: "), "{}", end.detail);
        assert_eq!(backend.accepted(), 0);
        hop.settles().await;
    });
}

/// Over the routes of one port: whether it needs to know the hello, and whether the request comes a byte at a time.
#[test]
fn plain_http_gets_an_answer_and_costs_no_backend_anything() {
    let redirecting = TERMINATE.replace("edge.pem\" }] }", "edge.pem\" }], plain_http = \"redirect\" }");
    for (tls, status, header) in [
        (TERMINATE, "HTTP/1.1 400 Bad Request", "Connection: close"),
        (&*redirecting, "HTTP/1.1 301 Moved Permanently", "Location: https://edge.test:8443/a?b"),
    ] {
        scenario(async {
            let (files, backend) = (Files::new(), Backend::silent());
            let hop = files.hop(&backend, tls);
            for at_once in [true, false] {
                let mut client = Wire::connect(hop.addr()).await;
                let request = "GET /a?b HTTP/1.1\r\nHost: edge.test:8443\r\n\r\n";
                if at_once {
                    client.send(request).await;
                } else {
                    client.send_byte_by_byte(request).await;
                }
                let got = client.read_to_end().await;
                let text = got.text();
                assert!(text.starts_with(status) && text.contains(header), "{text}");
                assert_eq!(
                    got.end,
                    Some(Ending::Fin),
                    "what it sent is heard out: no reset takes the answer away"
                );
            }
            for end in hop.ended(2).await {
                assert_eq!((end.cause, end.phase), (Cause::TlsFailed, Phase::Tls));
                assert!(end.detail.starts_with("plain_http: "), "{}", end.detail);
            }
            assert_eq!(backend.accepted(), 0);
            hop.settles().await;
        });
    }
}

#[test]
fn plain_http_is_answered_as_the_route_of_its_host_has_it_where_routes_go_by_names() {
    let redirecting = TERMINATE.replace("edge.pem\" }] }", "edge.pem\" }], plain_http = \"redirect\" }");
    for (tls, status) in [(TERMINATE, "HTTP/1.1 400 "), (&*redirecting, "HTTP/1.1 301 ")] {
        scenario(async {
            let (files, backend) = (Files::new(), Backend::silent());
            let by_name =
                |config: &str| config.replace("[PORT_A] }", "[PORT_A], domains = [\"edge.test\"] }");
            let hop = Hop::start(&by_name(&files.config(&backend, tls)));
            for at_once in [true, false] {
                let mut client = Wire::connect(hop.addr()).await;
                let request = "GET /a HTTP/1.1\r\nHost: Edge.test:8443\r\n\r\n";
                if at_once {
                    client.send(request).await;
                } else {
                    client.send_byte_by_byte(request).await;
                }
                let got = client.read_to_end().await;
                assert!(got.text().starts_with(status), "{}", got.text());
                assert_eq!(got.end, Some(Ending::Fin));
            }
            for end in hop.ended(2).await {
                assert_eq!((end.cause, end.phase), (Cause::TlsFailed, Phase::Tls));
            }
            let mut stranger = Wire::connect(hop.addr()).await;
            stranger.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").await;
            assert_eq!(stranger.read_to_end().await.text(), "");
            drop(stranger);
            assert_eq!(hop.ended(3).await.last().map(|end| end.cause), Some(Cause::NoRoute));
            assert_eq!(backend.accepted(), 0);
            hop.settles().await;
        });
    }
}

#[test]
fn a_backend_that_cannot_prove_who_it_is_gets_nothing() {
    scenario(async {
        let files = Files::new();
        let others = Root::new();
        let (backend, _served) = Backend::tls_hands_over(&others, &["inner.test"]);
        let hop = files.hop(&backend, REENCRYPT);
        let mut client = Wire::connect(hop.addr()).await;
        client.send("secret").await;
        client.wait_for_a_reset().await;
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.phase, end.by), (Cause::BackendTls, Phase::Dial, By::Backend));
        assert!(end.detail.contains("certificate_refused"), "{}", end.detail);
        hop.settles().await;
    });
}

#[test]
fn who_had_to_wait_for_a_place_has_the_whole_dial_for_the_handshake_with_the_backend() {
    scenario(async {
        let files = Files::new();
        let (backend, mut served) = Backend::tls_hands_over(&files.root, &["inner.test"]);
        let queue = "max_connections = 1\nat_limit = { queue = { most_waiting = 5, longest_wait = \"10s\" } }\n\
                     timeouts = { connection_timeout = \"1s\" }\n";
        let hop = Hop::start(&(files.config(&backend, BOTH) + queue));
        let first = files.client(&hop).await;
        let first_server = served.recv().await.expect("it was dialled");
        let mut second = files.client(&hop).await;
        second.send("question").await;
        // Longer than a dial may take: that it waits is not held against it.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        drop((first, first_server));
        let mut server = served.recv().await.expect("it was dialled");
        server.read_until(|got| got == b"question").await;
        drop((second, server));
        hop.empties(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_reload_takes_a_new_certificate_and_leaves_those_who_have_the_old_one_alone() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let hop = files.hop(&backend, TERMINATE);
        let mut before = files.client(&hop).await;
        before.send("one").await;
        before.read_until(|got| got == b"one").await;
        files.write("edge.pem", &files.root.certificate(&["other.test"]));
        assert!(hop.reload(&files.config(&backend, TERMINATE)).await.taken);
        let mut after = files.root.connect(hop.addr(), "other.test").await;
        after.send("two").await;
        after.read_until(|got| got == b"two").await;
        before.send(" more").await;
        before.read_until(|got| got == b"one more").await;
        // What cannot be used changes nothing.
        files.write("edge.pem", "no certificate");
        let refused = hop.reload(&files.config(&backend, TERMINATE)).await;
        let why = refused.error.unwrap_or_default();
        assert!(!refused.taken && why.contains("there is no certificate in it"), "{why}");
        drop(files.root.connect(hop.addr(), "other.test").await);
        drop((before, after));
        hop.empties(Duration::from_secs(5)).await;
    });
}
