//! The real binary's access log, as a program reads it.

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, config, eventually};

const TEXTS: [&str; 10] =
    ["id", "client", "peer", "listener", "route", "target", "phase", "cause", "code", "by"];
const NUMBERS: [&str; 8] =
    ["from_client", "from_backend", "header_s", "peek_s", "dial_s", "relay_s", "drain_s", "total_s"];

#[test]
fn has_every_field_once() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let config = config::single("log.format = \"json\"", &[&backend.addr()]);
        let proxy = Smartproxy::run(&config).await;
        let mut client = Wire::connect(proxy.addr()).await;
        client.send("hello").await;
        client.half_close().await;
        client.read_to_end().await;
        let addr = client.local_addr().to_string();
        eventually(PATIENCE, || proxy.access_log().len() == 1).await;
        let line = proxy.access_log().remove(0);
        assert!(TEXTS.iter().all(|field| line[*field].is_string()), "{line:#}");
        assert!(NUMBERS.iter().all(|field| line[*field].is_number()), "{line:#}");
        let expected =
            [("client", addr), ("target", backend.addr().to_string()), ("cause", "finished".to_owned())];
        for (field, value) in expected {
            assert_eq!(line[field], value, "{field}");
        }
        assert_eq!((&line["from_client"], &line["from_backend"]), (&5.into(), &5.into()));
        let text = proxy.process.output();
        let written = text.lines().find(|line| line.contains("connection ended")).unwrap_or_default();
        for field in TEXTS.iter().chain(&NUMBERS) {
            assert_eq!(written.matches(&format!("\"{field}\":")).count(), 1, "{field}: {written}");
        }
    });
}
