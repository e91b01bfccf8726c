//! Listening sockets: which there are, and which there can not be.

use std::net::IpAddr;

use insta::assert_snapshot;
use proxy_bin::config::{Config, Greeting};

use crate::{ROUTE, before_route, good, refusal};

/// The sockets of a file, each with its backlog.
fn sockets(text: &str) -> String {
    let config = good(text);
    config
        .settings
        .listeners
        .iter()
        .map(|one| format!("{} {}", one.label, one.backlog))
        .collect::<Vec<_>>()
        .join("\n")
}

const ROUTES: &str = r#"
[[routes]]
name = "a"
match = { ports = [443, "8000-8001"] }
action = "refuse"

[[routes]]
name = "b"
match = { ports = [8001], domains = ["b.com"] }
action = "refuse"

[[routes]]
name = "off"
enabled = false
match = { ports = [9000] }
action = "refuse"
"#;

#[test]
fn ports_follow_from_the_enabled_routes() {
    assert_snapshot!(sockets(ROUTES), @"
*:443 1024
*:8000 1024
*:8001 1024
");
}

#[test]
fn a_table_is_about_its_ports_and_the_others_stay_as_they_are() {
    let table = "[[listeners]]\nports = [8001]\nbind = [\"127.0.0.1\", \"::1\"]\nbacklog = 16\n";
    assert_snapshot!(sockets(&format!("{table}{ROUTES}")), @"
*:443 1024
*:8000 1024
127.0.0.1:8001 16
[::1]:8001 16
");
}

#[test]
fn a_table_without_ports_is_about_all() {
    assert_snapshot!(sockets(&format!("[[listeners]]\nbind = [\"::ffff:10.0.0.1\"]\n{ROUTES}")), @"
10.0.0.1:443 1024
10.0.0.1:8000 1024
10.0.0.1:8001 1024
");
}

#[test]
fn one_port_may_have_tables_for_different_addresses() {
    assert_snapshot!(sockets(&format!("
[[listeners]]
ports = [443]
[[listeners]]
ports = [443]
bind = [\"10.0.0.1\"]
backlog = 16
{ROUTES}")), @"
*:443 1024
10.0.0.1:443 16
*:8000 1024
*:8001 1024
");
}

#[test]
fn the_same_address_in_two_tables() {
    assert_snapshot!(before_route("
[[listeners]]
bind = [\"10.0.0.1\", \"127.0.0.1\"]

[[listeners]]
ports = [8080]
bind = [\"127.0.0.1\"]
"), @r#"
error: port 8080 is listened on twice at the same address
 --> proxy.toml:7:9
  |
3 | bind = ["10.0.0.1", "127.0.0.1"]
  |                     ----------- 127.0.0.1 is listened on here
...
7 | bind = ["127.0.0.1"]
  |         ^^^^^^^^^^^ the same again
  |
  = help: give the two tables different `ports` or `bind`
"#);
}

#[test]
fn every_address_twice_and_by_another_name() {
    assert_snapshot!(before_route("[[listeners]]\n\n[[listeners]]\nbind = [\"0.0.0.0\"]\n"), @r#"
error: port 8080 is listened on twice at the same address
 --> proxy.toml:4:9
  |
1 | [[listeners]]
  | ------------- every address is listened on here
...
4 | bind = ["0.0.0.0"]
  |         ^^^^^^^^^ a connection could go to either
  |
  = help: give the two tables different `ports` or `bind`
"#);
}

#[test]
fn the_same_address_twice_in_one_table() {
    assert_snapshot!(before_route("[[listeners]]\nbind = [\"::1\", \"::1\"]\n"), @r#"
error: port 8080 is listened on twice at the same address
 --> proxy.toml:2:16
  |
2 | bind = ["::1", "::1"]
  |         -----  ^^^^^ the same again
  |         |
  |         ::1 is listened on here
  |
  = help: remove one of them
"#);
}

#[test]
fn a_table_about_a_port_that_no_route_has() {
    let about = |port: u16| refusal(&format!("[[listeners]]\nports = [8001, {port}]\n{ROUTES}"));
    assert_snapshot!(about(8002), @"
error: no enabled route has port 8002
 --> proxy.toml:2:16
  |
2 | ports = [8001, 8002]
  |                ^^^^
  |
  = help: ports are opened by routes; theirs are 443, 8000-8001
");
    assert_snapshot!(about(9000), @r#"
error: no enabled route has port 9000
 --> proxy.toml:2:16
  |
2 | ports = [8001, 9000]
  |                ^^^^
  |
  = help: route "off" has it, but is not enabled
"#);
}

#[test]
fn a_table_about_nothing() {
    assert_snapshot!(before_route("[[listeners]]\nports = []\n"), @"
error: this listener is about no port
 --> proxy.toml:2:9
  |
2 | ports = []
  |         ^^ leave `ports` out for all ports of the routes
");
    assert_snapshot!(before_route("[[listeners]]\nbind = []\n"), @"
error: this listener has no address
 --> proxy.toml:2:8
  |
2 | bind = []
  |        ^^ leave `bind` out for every address
");
}

#[test]
fn trust_in_nobody() {
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = { required = [] }\n"), @"
error: `accept_proxy` trusts nobody
 --> proxy.toml:2:29
  |
2 | accept_proxy = { required = [] }
  |                             ^^ name the networks that the proxies in front of this one are in
");
    assert_snapshot!(before_route("[[listeners]]\n[listeners.accept_proxy]\noptional = []\n"), @"
error: `accept_proxy` trusts nobody
 --> proxy.toml:3:12
  |
3 | optional = []
  |            ^^ name the networks that the proxies in front of this one are in
");
}

#[test]
fn at_most_4096_sockets() {
    let ports = |last: u16, rest: &str| {
        let route = format!("match = {{ ports = [80, \"10001-{last}\"] }}\naction = \"refuse\"");
        Config::parse(&format!("{rest}\n[[routes]]\nname = \"a\"\n{route}"), "proxy.toml")
    };
    assert_eq!(ports(14_095, "").unwrap().settings.listeners.len(), 4096);
    assert_snapshot!(ports(14_096, "").unwrap_err(), @r#"
error: more than 4096 listening sockets
 --> proxy.toml:4:24
  |
4 | match = { ports = [80, "10001-14096"] }
  |                        ^^^^^^^^^^^^^ this is the widest range, with 4096 ports
  |
  = help: each port needs a socket for each address in `bind`, which is one unless [[listeners]] has more
"#);
    let two = "listeners = [{ ports = [80], bind = [\"127.0.0.1\", \"127.0.0.2\"] }]";
    assert_eq!(ports(14_094, two).unwrap().settings.listeners.len(), 4096);
    assert_snapshot!(ports(14_095, two).unwrap_err(), @r#"
error: more than 4096 listening sockets
 --> proxy.toml:4:24
  |
4 | match = { ports = [80, "10001-14095"] }
  |                        ^^^^^^^^^^^^^ this is the widest range, with 4095 ports
  |
  = help: each port needs a socket for each address in `bind`, which is one unless [[listeners]] has more
"#);
}

#[test]
fn peers_are_greeted_by_their_network() {
    let greeting = |accept: &str, peer: &str| {
        let config = good(&format!("[[listeners]]\naccept_proxy = {accept}\n{ROUTE}"));
        config.settings.listeners[0].accept_proxy.greeting(peer.parse::<IpAddr>().unwrap())
    };
    let (required, optional) = ("{ required = [\"10.0.0.0/8\"] }", "{ optional = [\"10.0.0.0/8\"] }");
    let required_from = "{ required_from = [\"10.0.0.0/8\"] }";
    assert_eq!(greeting(required, "10.1.2.3"), Greeting::Header);
    assert_eq!(greeting(required, "::ffff:10.1.2.3"), Greeting::Header);
    assert_eq!(greeting(required, "11.1.2.3"), Greeting::Refused);
    assert_eq!(greeting(required_from, "10.1.2.3"), Greeting::Header);
    assert_eq!(greeting(required_from, "11.1.2.3"), Greeting::Plain);
    assert_eq!(greeting(optional, "10.1.2.3"), Greeting::Either);
    assert_eq!(greeting(optional, "11.1.2.3"), Greeting::Plain);
    assert_eq!(greeting("\"off\"", "10.1.2.3"), Greeting::Plain);
}
