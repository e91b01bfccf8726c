//! nginx over HTTP: a request like any other.

use chain_harness::{Peer, scenario};
use proxy_upstream::health::HealthCause;

use super::{checking, follows, is_down, is_up, view};

const CONFIG: &str = "http { access_log DIR/access.log; server { listen 127.0.0.1:PORT_A; \
    location = /ready { access_log off; return 204; } location / { return 503; } } }";

#[test]
fn the_status_decides() {
    scenario(async {
        let Some(mut nginx) = Peer::nginx(CONFIG).await else { return };
        let ready = checking(
            nginx.addr(),
            r#"{ kind = "http", path = "/ready", interval = "100ms", timeout = "1s" }"#,
        );
        is_up(&ready).await;
        let busy = checking(nginx.addr(), r#"{ kind = "http", interval = "100ms", timeout = "1s" }"#);
        assert_eq!(is_down(&busy).await, HealthCause::Unexpected);
        assert_eq!(view(&busy).finding.unwrap().to_string(), "status 503, which is not in 200-399");
        assert_eq!(nginx.file("error.log"), "");
        drop(busy);
        follows(&ready, &mut nginx, HealthCause::Timeout).await;
    });
}

#[test]
fn behind_a_port_that_wants_a_header_it_gets_one() {
    let config = CONFIG.replace("PORT_A;", "PORT_A proxy_protocol;");
    scenario(async {
        let Some(nginx) = Peer::nginx(&config).await else { return };
        for header in ["v1", "v2"] {
            let check = format!(
                r#"{{ kind = "http", path = "/ready", interval = "100ms", timeout = "1s", send_proxy = "{header}" }}"#
            );
            is_up(&checking(nginx.addr(), &check)).await;
        }
        let without = checking(
            nginx.addr(),
            r#"{ kind = "http", path = "/ready", interval = "100ms", timeout = "1s" }"#,
        );
        is_down(&without).await;
    });
}

#[test]
fn a_text_is_as_good_as_a_kind() {
    scenario(async {
        let Some(nginx) = Peer::nginx(CONFIG).await else { return };
        let check = r#"{ send = "GET /ready HTTP/1.0\r\n\r\n", expect = "204 No Content", interval = "100ms", timeout = "1s" }"#;
        is_up(&checking(nginx.addr(), check)).await;
    });
}
