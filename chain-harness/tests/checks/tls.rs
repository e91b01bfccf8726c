//! nginx over TLS: a whole handshake, closed in order.

use std::process::Command;

use chain_harness::{Peer, scenario};
use proxy_upstream::health::HealthCause;

use super::{checking, follows, is_down, is_up, view};

#[test]
fn is_up_while_it_shakes_hands() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let (key, cert) = (dir.path().join("key.pem"), dir.path().join("cert.pem"));
        let mut make = Command::new("openssl");
        make.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
        ]);
        make.args(["-subj", "/CN=a.test", "-keyout"]).arg(&key).arg("-out").arg(&cert);
        let Ok(made) = make.output() else {
            println!("skipped: openssl is not installed (apt-get install openssl)");
            return;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = format!(
            "http {{ access_log DIR/access.log; server {{ listen 127.0.0.1:PORT_A ssl; ssl_certificate {}; ssl_certificate_key {}; \
             location = /ready {{ access_log off; return 204; }} location = /busy {{ return 503; }} }} \
             server {{ listen 127.0.0.1:PORT_B; }} }}",
            cert.display(),
            key.display()
        );
        let Some(mut nginx) = Peer::nginx(&config).await else { return };
        let name = r#"{ kind = "tls", server_name = "a.test", interval = "100ms", timeout = "1s" }"#;
        let hop = checking(nginx.addr(), name);
        is_up(&hop).await;
        is_up(&checking(nginx.addr(), r#"{ kind = "tls", interval = "100ms", timeout = "1s" }"#)).await;
        let plain = checking(nginx.at(1), r#"{ kind = "tls", interval = "100ms", timeout = "1s" }"#);
        assert_eq!(is_down(&plain).await, HealthCause::Unexpected);
        let told = view(&plain).finding.unwrap().to_string();
        assert!(told.starts_with("no TLS handshake"), "{told}");
        drop(plain);
        let asks = |path: &str, port| {
            let check = format!(
                r#"{{ kind = "https", path = "{path}", server_name = "a.test", interval = "100ms", timeout = "1s" }}"#
            );
            checking(nginx.at(port), &check)
        };
        let ready = asks("/ready", 0);
        is_up(&ready).await;
        let busy = asks("/busy", 0);
        assert_eq!(is_down(&busy).await, HealthCause::Unexpected);
        assert_eq!(view(&busy).finding.unwrap().to_string(), "status 503, which is not in 200-399");
        assert_eq!(is_down(&asks("/ready", 1)).await, HealthCause::Unexpected, "no TLS there");
        drop((ready, busy));
        assert_eq!(nginx.file("error.log"), "");
        follows(&hop, &mut nginx, HealthCause::Timeout).await;
    });
}
