//! Over TCP: who is let in, and whose pages are not.

use std::os::unix::fs::PermissionsExt;

use proxy_api::model::Status;
use proxy_bin::admin::{AdminError, AdminServer, AdminSockets, Given, Subject, Traces};
use proxy_bin::config::{Admin, Config};

use crate::http::At;
use crate::world::World;

#[test]
fn on_a_loopback_address_whoever_addresses_this_machine_is_let_in() {
    let world = World::new();
    let at = world.outer.on_tcp();
    let status: Status = at.get("/v1/status").says();
    assert_eq!(status.name, "outer");
    assert_eq!(at.ask("GET", "/v1/status", &["host: localhost:1"], "").status, 200);
    let detail = at.ask("GET", "/v1/status", &["host: rebound.example"], "").problem(403);
    assert!(detail.starts_with("the Host header names another machine"), "{detail}");
    // Over the Unix socket its file's permissions have decided who may.
    assert_eq!(world.at().ask("GET", "/v1/status", &["host: rebound.example"], "").status, 200);
}

#[test]
fn a_page_elsewhere_ends_no_connection() {
    let world = World::new();
    let (at, _client) = (world.outer.on_tcp(), world.client());
    let path = format!("/v1/connections/{}", world.outer.connections()[0].id);
    let elsewhere = "origin: https://elsewhere.example";
    for headers in [&[][..], &["content-type: text/plain"], &["content-type: application/json", elsewhere]] {
        at.ask("DELETE", &path, headers, "").problem(403);
        at.ask("POST", "/v1/connections/kill", headers, "{\"all\":true}").problem(403);
    }
    assert_eq!(world.outer.status().connections, 1);
    let own = format!("origin: http://{}", world.outer.admin.addr().unwrap());
    assert_eq!(at.ask("DELETE", &path, &["content-type: application/json", &own], "").status, 200);
    world.outer.has(0);
}

/// Another admin API of the outer hop, with a token.
fn with_token(world: &World, listen: &str) -> (AdminServer, At) {
    let file = world.dir.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let options = admin(&format!("listen = \"{listen}\"\ntoken_file = \"{}\"", file.display()));
    // A port that the kernel has just chosen may be somebody else's by the time it is listened on.
    let sockets = (0..10).find_map(|_| AdminSockets::bind(&options).ok()).unwrap();
    let subject = Subject { control: world.outer.server.control().clone(), traces: Traces::default() };
    let server = AdminServer::start(sockets, subject).unwrap();
    let at = At::Tcp(([127, 0, 0, 1], server.addr().unwrap().port()).into());
    (server, at)
}

fn admin(text: &str) -> Admin {
    let route = "[[routes]]\nname = \"r\"\nmatch = { ports = [1] }\naction = \"refuse\"\n";
    Config::parse(&format!("[admin]\n{text}\n{route}"), "admin.toml").unwrap().admin.unwrap()
}

#[test]
fn with_a_token_nobody_is_let_in_without() {
    let world = World::new();
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        let (_server, at) = with_token(&world, listen);
        let refused = at.get("/v1/status");
        assert!(refused.headers["www-authenticate"].starts_with("Bearer realm="), "{refused:?}");
        assert!(refused.problem(401).contains("Authorization: Bearer"));
        for path in ["/", "/metrics", "/v1/openapi.json", "/none"] {
            at.get(path).problem(401);
        }
        // A kubelet brings none.
        assert_eq!((at.get("/healthz").body, at.get("/readyz").body), ("ok\n".into(), "ready\n".into()));
        at.ask("GET", "/v1/status", &["authorization: Bearer 0123456789abcdeg"], "").problem(401);
        let bearer = "authorization: Bearer 0123456789abcdef";
        assert_eq!(at.ask("GET", "/v1/status", &[bearer], "").status, 200);
        let basic = "authorization: Basic YWRtaW46MDEyMzQ1Njc4OWFiY2RlZg==";
        assert_eq!(at.ask("GET", "/v1/status", &[basic], "").status, 200);
        let post = ["content-type: application/json", bearer];
        assert_eq!(at.ask("POST", "/v1/audit", &post, "").status, 200);
        at.ask("POST", "/v1/audit", &post[1..], "").problem(403);
    }
    // Only where it is not this machine alone does the name not matter: nobody knows by which one it is reached.
    let (_server, at) = with_token(&world, "0.0.0.0:0");
    let headers = ["authorization: Bearer 0123456789abcdef", "host: proxy.example:9000"];
    assert_eq!(at.ask("GET", "/v1/status", &headers, "").status, 200);
}

#[test]
fn what_cannot_be_listened_on_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let why = |text: &str| AdminSockets::bind(&admin(text)).unwrap_err().to_string();
    assert!(
        why(&format!("listen = \"{addr}\""))
            .starts_with(&format!("cannot listen on {addr} for the admin API: "))
    );
    let missing = dir.path().join("none/admin.sock");
    let error = why(&format!("socket = \"{}\"", missing.display()));
    assert!(
        error.contains("none/admin.sock: ") && error.ends_with("RuntimeDirectory=smartproxy)"),
        "{error}"
    );
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = why(&format!("listen = \"127.0.0.1:0\"\ntoken_file = \"{}\"", token.display()));
    assert!(error.starts_with("others than its owner may use the token file"), "{error}");
    let open = Admin { listen: Some("0.0.0.0:0".parse().unwrap()), ..Admin::default() };
    assert!(matches!(AdminSockets::bind(&open), Err(AdminError::Open { .. })));
}

#[test]
fn the_address_can_be_handed_over_without_a_refused_request() {
    let world = World::new();
    let options = admin("listen = \"127.0.0.1:0\"");
    let subject = || Subject { control: world.outer.server.control().clone(), traces: Traces::default() };
    let mut old = AdminServer::start(AdminSockets::bind(&options).unwrap(), subject()).unwrap();
    let addr = old.addr().unwrap();
    let options = admin(&format!("listen = \"{addr}\""));
    assert!(AdminSockets::bind(&options).is_err(), "two cannot have it");
    let sockets =
        AdminSockets::bind_with(&options, Given { tcp: old.tcp_socket(), ..Given::default() }).unwrap();
    let new = AdminServer::start(sockets, subject()).unwrap();
    old.release_address();
    for _ in 0..20 {
        assert_eq!(At::Tcp(addr).get("/healthz").status, 200);
    }
    drop(old);
    assert_eq!((At::Tcp(addr).get("/healthz").status, new.addr()), (200, Some(addr)));
}
