//! What is told of TLS that ends here: what was agreed upon, bytes, handshakes that failed; and that a backend which fails handshakes is
//! left alone like one that cannot be reached.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::path::Path;

use chain_harness::{Backend, Hop, PATIENCE, Root, Wire, eventually, scenario};
use proxy_conn::{Cause, Phase};
use proxy_core::Side;
use proxy_upstream::balance::Rank;

const NAME: &str = "edge.test";

/// A hop whose route `edge` has these `lines`; its port has another one, by name, if `peeks`.
fn hop(lines: &str, peeks: bool) -> Hop {
    let other = "[[routes]]\nname = \"through\"\nmatch = { ports = [PORT_A], domains = [\"through.test\"] }\naction = \"refuse\"\n";
    Hop::start(&format!(
        "[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n[breaker]\nfailures_in_a_row = 2\ncool_down = \"1m\"\n{}[[routes]]\n\
         name = \"edge\"\nmatch = {{ ports = [PORT_A] }}\n{lines}\n",
        if peeks { other } else { "" }
    ))
}

fn terminate(dir: &Path, root: &Root) -> String {
    let file = dir.join("edge.pem");
    std::fs::write(&file, root.certificate(&[NAME])).unwrap();
    format!(
        "terminate = {{ certificates = [{{ certificate = \"{}\" }}], strict_sni = true }}",
        file.display()
    )
}

fn failed(hop: &Hop, side: Side) -> Vec<(&'static str, u64)> {
    let proxy = hop.control().proxy();
    let counted = proxy.handshakes.failed_with(side).filter(|(_, count)| *count > 0);
    counted.map(|(fault, count)| (fault.name(), count)).collect()
}

/// The hello of a client is none of its words, whether a route had to know it or not.
#[test]
fn what_was_agreed_upon_is_known_and_bytes_are_those_that_come_out_of_it() {
    for peeks in [false, true] {
        scenario(async {
            let (root, dir) = (Root::new(), tempfile::tempdir().unwrap());
            let backend = Backend::echo();
            let action = format!(
                "action = {{ forward = [\"{}\"] }}\ntls = {{ {} }}",
                backend.addr(),
                terminate(dir.path(), &root)
            );
            let hop = hop(&action, peeks);
            let mut client = root.connect(hop.addr(), NAME).await;
            hop.has_in(Phase::Relay, 1).await;
            let silent = hop.tracker().snapshot().remove(0);
            assert_eq!((silent.from_client, silent.from_backend), (0, 0), "nothing was said");
            client.send("words").await;
            client.read_until(|got| got == b"words").await;
            let view = hop.tracker().snapshot().remove(0);
            let tls = view.facts.tls.unwrap();
            assert_eq!((tls.version, tls.cipher), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
            assert_eq!((tls.group.is_some(), tls.resumed, tls.identity), (true, false, None));
            assert_eq!(view.facts.server_name.as_deref(), Some(NAME));
            client.close().await;
            client.read_to_end().await;
            drop(client);
            let end = hop.the_end().await;
            assert_eq!((end.cause, end.from_client, end.from_backend), (Cause::Finished, 5, 5));
            assert_eq!(hop.control().proxy().handshakes.done_with(Side::Client), (1, 0));
            hop.settles().await;
        });
    }
}

#[test]
fn handshakes_that_fail_are_counted_by_kind() {
    scenario(async {
        let (root, dir) = (Root::new(), tempfile::tempdir().unwrap());
        let backend = Backend::silent();
        let action = format!(
            "action = {{ forward = [\"{}\"] }}\ntls = {{ {} }}",
            backend.addr(),
            terminate(dir.path(), &root)
        );
        let hop = hop(&action, false);
        assert!(root.try_connect(hop.addr(), "other.test").await.is_err(), "there is no certificate for it");
        let mut plain = Wire::connect(hop.addr()).await;
        plain.send("SSH-2.0-client\r\n").await;
        plain.read_to_end().await;
        let mut gone = Wire::connect(hop.addr()).await;
        gone.send([0x16, 3, 1]).await;
        gone.half_close().await;
        gone.read_to_end().await;
        drop((plain, gone));
        hop.ended(3).await;
        let expected = [("left", 1), ("not_tls", 1), ("no_certificate", 1)];
        assert_eq!(failed(&hop, Side::Client), expected);
        assert_eq!((backend.accepted(), failed(&hop, Side::Backend)), (0, Vec::new()));
        hop.settles().await;
    });
}

/// Of two members the first takes every connection and presents a certificate of somebody else's.
#[test]
fn a_backend_that_fails_handshakes_is_left_alone_and_the_other_serves() {
    scenario(async {
        let (root, dir) = (Root::new(), tempfile::tempdir().unwrap());
        std::fs::write(dir.path().join("root.pem"), root.pem()).unwrap();
        let (bad, _refused) = Backend::tls_hands_over(&Root::new(), &["inner.test"]);
        let (good, mut served) = Backend::tls_hands_over(&root, &["inner.test"]);
        let lines = format!(
            "action = {{ forward = [\"{}\", \"{}\"] }}\ntls = {{ reencrypt = {{ trust = {{ roots = \"{}\" }}, server_name = \"inner.test\" }} }}",
            bad.addr(),
            good.addr(),
            dir.path().join("root.pem").display()
        );
        let hop = hop(&lines, false);
        let member = || std::sync::Arc::clone(&hop.control().proxy().route(0).unwrap().targets);
        let mut lost = 0;
        while member().nth(0).unwrap().rank() != Rank::Open {
            assert!(lost < 10, "it was tried ten times");
            let mut client = Wire::connect(hop.addr()).await;
            client.send("?").await;
            tokio::select! {
                () = client.wait_for_a_reset() => lost += 1,
                Some(mut server) = served.recv() => { server.read_until(|got| got == b"?").await; }
            }
        }
        assert_eq!((lost, failed(&hop, Side::Backend)), (2, vec![("certificate_refused", 2)]));
        assert_eq!(member().nth(0).unwrap().health.outcomes.counts().bad, 2);
        for _ in 0..4 {
            let mut client = Wire::connect(hop.addr()).await;
            client.send("?").await;
            let mut server = served.recv().await.unwrap();
            server.read_until(|got| got == b"?").await;
        }
        eventually(PATIENCE, || hop.tracker().is_empty()).await;
        assert_eq!(hop.ends_of(Cause::BackendTls), 2);
        hop.settles().await;
    });
}
