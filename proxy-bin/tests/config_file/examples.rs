//! The files in `config/`, which an operator reads first.

use std::collections::HashSet;
use std::path::PathBuf;

use insta::assert_snapshot;
use proxy_bin::config::{Action, Config, PoolConfig, Whole};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config")
}

fn load(name: &str) -> Config {
    Config::load(folder().join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// What listens, and what is taken where.
fn picture(name: &str) -> String {
    let config = load(name);
    assert!(config.warnings.is_empty(), "{name} has no warnings");
    let listeners =
        config.settings.listeners.iter().map(|one| format!("{} {:?}", one.label, one.accept_proxy));
    let routes = config.settings.routes.routes().map(|route| {
        let domains: Vec<String> = route.spec.matches.domains.iter().map(ToString::to_string).collect();
        let targets = match &route.payload.action {
            Action::Forward(targets) => targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Action::Group(group) => format!("@{}", group.name),
            Action::Refuse => "refuse".to_owned(),
        };
        format!("{} {domains:?} -> {targets} {:?}", route.name(), route.payload.send_proxy)
    });
    listeners.chain(routes).collect::<Vec<_>>().join("\n")
}

#[test]
fn one_port() {
    assert_snapshot!(picture("one-port.toml"), @"
*:8080 Off
web [] -> 127.0.0.1:3000 Off
");
}

#[test]
fn the_outer_proxy_of_a_chain() {
    assert_snapshot!(picture("chain-outer.toml"), @"
*:8001 Off
to-inner [] -> 127.0.0.1:8002 V2(HeaderContent { fields: {UniqueId, Authority, Alpn, Ssl}, unique_id: Trail, max_header: 4096, crc32c: true, pass_unknown_tlvs: false, next_hop: Smartproxy })
");
}

#[test]
fn the_inner_proxy_of_a_chain() {
    assert_snapshot!(picture("chain-inner.toml"), @"
127.0.0.1:8002 Required([ClientNet(127.0.0.1/32)])
backend [] -> 127.0.0.1:8080 Off
");
}

#[test]
fn an_edge_with_certificates_that_are_obtained() {
    assert_snapshot!(picture("tls-edge.toml"), @"
*:443 Off
www [\"www.example.com\", \"example.com\"] -> 127.0.0.1:8080 Off
vault [\"vault.example.com\"] -> 10.0.0.7:443 Off
");
}

#[test]
fn limits() {
    assert_snapshot!(picture("limits.toml"), @"
*:8080 Off
*:8081 Off
web [] -> 127.0.0.1:3000 127.0.0.1:3001 Off
mirror [] -> 127.0.0.1:3002 Off
");
    let config = load("limits.toml");
    let limits = |pool: &PoolConfig| pool.max_connections.map_or(0, Whole::get);
    assert_eq!(config.settings.pools.iter().map(limits).collect::<Vec<_>>(), [3000, 0, 200]);
}

#[test]
fn names_to_backends() {
    assert_snapshot!(picture("sni-routing.toml"), @r#"
*:8443 Off
api ["api.example.com"] -> 127.0.0.1:9001 127.0.0.1:9002 Off
shop ["*.shop.example.com"] -> 127.0.0.1:9003 Off
fallback [] -> 127.0.0.1:9000 Off
"#);
}

#[test]
fn groups_of_targets() {
    assert_snapshot!(picture("groups.toml"), @"
*:8001 Off
*:8011 Off
plain [] -> @inner V2(HeaderContent { fields: {UniqueId, Authority, Alpn, Ssl}, unique_id: Trail, max_header: 4096, crc32c: false, pass_unknown_tlvs: false, next_hop: Smartproxy })
tls [] -> @inner V2(HeaderContent { fields: {UniqueId, Authority, Alpn, Ssl}, unique_id: Trail, max_header: 4096, crc32c: false, pass_unknown_tlvs: false, next_hop: Smartproxy })
");
    let config = load("groups.toml");
    let inner = &config.settings.groups[0];
    assert_eq!((&*inner.name, inner.members().len()), ("inner", 3));
}

#[test]
fn the_outer_proxy_sends_what_the_inner_one_takes() {
    let (outer, inner) = (load("chain-outer.toml"), load("chain-inner.toml"));
    let targets = outer.settings.routes.route(0).unwrap().payload.action.targets();
    let to: Vec<String> = targets.iter().map(|target| target.address(8001).to_string()).collect();
    assert_eq!(to, [inner.settings.listeners[0].label.clone()]);
}

#[test]
fn each_can_be_asked_by_whoever_runs_it_and_beside_the_others() {
    let names = [
        "one-port.toml",
        "chain-outer.toml",
        "chain-inner.toml",
        "limits.toml",
        "sni-routing.toml",
        "groups.toml",
    ];
    let sockets = names.map(|name| {
        let config = load(name);
        config.suits_a_start().unwrap_or_else(|errors| panic!("{errors}"));
        let socket = config.admin.and_then(|admin| admin.socket).unwrap();
        assert!(socket.as_path().starts_with("/tmp"), "{name}: any user can make it");
        socket.as_path().to_owned()
    });
    let different: HashSet<_> = sockets.iter().collect();
    assert_eq!(different.len(), names.len());
}

#[test]
fn no_other_file_is_there_untested() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".toml") || !load(&name).settings.routes.is_empty());
    }
}
