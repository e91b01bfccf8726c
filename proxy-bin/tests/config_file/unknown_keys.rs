//! A key that is not known is refused at every level, and a near name is offered.

use insta::assert_snapshot;

use crate::{before_route, in_route, refusal};

#[test]
fn at_the_top() {
    assert_snapshot!(before_route("worker = 2"), @"
error: unknown key `worker`
 --> proxy.toml:1:1
  |
1 | worker = 2
  | ^^^^^^ did you mean `workers`?
  |
  = help: the keys here are `workers`, `graceful_shutdown_timeout`, `shutdown_delay`, `timeouts`, `keep_alive`, `congestion`, `source`, `interface`, `mark`, `limits`, `pools`, `groups`, `breaker`, `audit`, `proxy_protocol`, `dns`, `log`, `admin`, `acme`, `process`, `reload`, `listeners`, `routes`
");
}

#[test]
fn a_table_at_the_top() {
    assert_snapshot!(before_route("[timeout]\nconnection_timeout = \"5s\""), @"
error: unknown key `timeout`
 --> proxy.toml:1:2
  |
1 | [timeout]
  |  ^^^^^^^ did you mean `timeouts`?
  |
  = help: the keys here are `workers`, `graceful_shutdown_timeout`, `shutdown_delay`, `timeouts`, `keep_alive`, `congestion`, `source`, `interface`, `mark`, `limits`, `pools`, `groups`, `breaker`, `audit`, `proxy_protocol`, `dns`, `log`, `admin`, `acme`, `process`, `reload`, `listeners`, `routes`
");
}

#[test]
fn in_timeouts() {
    assert_snapshot!(before_route("[timeouts]\nconection_timeout = \"5s\""), @r#"
error: unknown key `conection_timeout`
 --> proxy.toml:2:1
  |
2 | conection_timeout = "5s"
  | ^^^^^^^^^^^^^^^^^ did you mean `connection_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`
"#);
}

#[test]
fn in_camel_case_as_smartproxy_wrote_it() {
    assert_snapshot!(before_route("[timeouts]\ninactivityTimeout = \"5s\""), @r#"
error: unknown key `inactivityTimeout`
 --> proxy.toml:2:1
  |
2 | inactivityTimeout = "5s"
  | ^^^^^^^^^^^^^^^^^ did you mean `inactivity_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`
"#);
}

#[test]
fn in_keep_alive() {
    assert_snapshot!(before_route("[keep_alive]\nidel = \"75s\""), @r#"
error: unknown key `idel`
 --> proxy.toml:2:1
  |
2 | idel = "75s"
  | ^^^^ did you mean `idle`?
  |
  = help: the keys here are `idle`, `interval`, `count`, `user_timeout`
"#);
}

#[test]
fn in_limits() {
    assert_snapshot!(before_route("[limits]\nmax-connections = 10"), @"
error: unknown key `max-connections`
 --> proxy.toml:2:1
  |
2 | max-connections = 10
  | ^^^^^^^^^^^^^^^ did you mean `max_connections`?
  |
  = help: the keys here are `max_connections`, `max_unrouted_connections`, `connections_per_client`, `connections_per_client_per_minute`, `unlimited_clients`, `ipv6_prefix`, `tracked_clients`, `max_memory`, `at_limit`, `early_data`, `max_client_hello`
");
}

#[test]
fn in_proxy_protocol() {
    assert_snapshot!(before_route("[proxy_protocol]\nheader = \"4KiB\""), @r#"
error: unknown key `header`
 --> proxy.toml:2:1
  |
2 | header = "4KiB"
  | ^^^^^^ not a key that is known here
  |
  = help: the only key here is `max_header`
"#);
}

#[test]
fn in_dns() {
    assert_snapshot!(before_route("[dns]\ntll = \"30s\""), @r#"
error: unknown key `tll`
 --> proxy.toml:2:1
  |
2 | tll = "30s"
  | ^^^ did you mean `ttl`?
  |
  = help: the keys here are `ttl`, `timeout`, `stale`
"#);
}

#[test]
fn in_log() {
    assert_snapshot!(before_route("[log]\nlevels = \"info\""), @r#"
error: unknown key `levels`
 --> proxy.toml:2:1
  |
2 | levels = "info"
  | ^^^^^^ did you mean `level`?
  |
  = help: the keys here are `format`, `level`, `access`, `access_format`, `access_rules`
"#);
}

#[test]
fn in_a_listener() {
    assert_snapshot!(before_route("[[listeners]]\nport = [8080]"), @"
error: unknown key `port`
 --> proxy.toml:2:1
  |
2 | port = [8080]
  | ^^^^ did you mean `ports`?
  |
  = help: the keys here are `ports`, `bind`, `backlog`, `accept_proxy`, `hop`, `unreadable_hello`, `max_connections`, `congestion`
");
}

#[test]
fn in_accept_proxy() {
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = { require = [\"10.0.0.0/8\"] }"), @r#"
error: unknown key `require`
 --> proxy.toml:2:18
  |
2 | accept_proxy = { require = ["10.0.0.0/8"] }
  |                  ^^^^^^^ did you mean `required`?
  |
  = help: the keys here are `required`, `required_from`, `optional`
"#);
}

#[test]
fn in_a_route() {
    assert_snapshot!(in_route("proirity = 3"), @"
error: unknown key `proirity`
 --> proxy.toml:6:1
  |
6 | proirity = 3
  | ^^^^^^^^ did you mean `priority`?
  |
  = help: the keys here are `name`, `priority`, `enabled`, `match`, `action`, `send_proxy`, `next_hop`, `proxy_v1`, `proxy_v2`, `pool`, `max_connections`, `max_connections_per_target`, `at_limit`, `breaker`, `timeouts`, `keep_alive`, `congestion`, `source`, `interface`, `mark`, `tls`, `hop`, `http`
");
}

#[test]
fn in_match() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "web"
match = { ports = [8080], domain = ["a.com"] }
action = "refuse"
"#), @r#"
error: unknown key `domain`
 --> proxy.toml:4:27
  |
4 | match = { ports = [8080], domain = ["a.com"] }
  |                           ^^^^^^ did you mean `domains`?
  |
  = help: the keys here are `ports`, `domains`, `clients`, `alpn`
"#);
}

#[test]
fn in_action() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "web"
match = { ports = [8080] }
action = { foward = ["127.0.0.1:80"] }
"#), @r#"
error: unknown key `foward`
 --> proxy.toml:5:12
  |
5 | action = { foward = ["127.0.0.1:80"] }
  |            ^^^^^^ did you mean `forward`?
  |
  = help: the only key here is `forward`
"#);
}

#[test]
fn in_a_target() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "web"
match = { ports = [8080] }
action = { forward = [{ hots = "10.0.0.1", port = 80 }] }
"#), @r#"
error: unknown key `hots`
 --> proxy.toml:5:25
  |
5 | action = { forward = [{ hots = "10.0.0.1", port = 80 }] }
  |                         ^^^^ did you mean `host`?
  |
  = help: the keys here are `host`, `port`
"#);
}

#[test]
fn in_proxy_v2() {
    assert_snapshot!(in_route("send_proxy = \"v2\"\nproxy_v2 = { crc32 = true }"), @"
error: unknown key `crc32`
 --> proxy.toml:7:14
  |
7 | proxy_v2 = { crc32 = true }
  |              ^^^^^ did you mean `crc32c`?
  |
  = help: the keys here are `fields`, `unique_id`, `max_header`, `crc32c`, `pass_unknown_tlvs`
");
}

#[test]
fn in_the_timeouts_of_a_route() {
    assert_snapshot!(in_route("timeouts = { colour = \"5s\" }"), @r#"
error: unknown key `colour`
 --> proxy.toml:6:14
  |
6 | timeouts = { colour = "5s" }
  |              ^^^^^^ not a key that is known here
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`
"#);
}

#[test]
fn in_the_keep_alive_of_a_route() {
    assert_snapshot!(in_route("[routes.keep_alive]\nintervall = \"5s\""), @r#"
error: unknown key `intervall`
 --> proxy.toml:7:1
  |
7 | intervall = "5s"
  | ^^^^^^^^^ did you mean `interval`?
  |
  = help: the keys here are `idle`, `interval`, `count`, `user_timeout`
"#);
}

#[test]
fn a_dotted_key() {
    assert_snapshot!(before_route("limits.max_conections = 3"), @"
error: unknown key `max_conections`
 --> proxy.toml:1:8
  |
1 | limits.max_conections = 3
  |        ^^^^^^^^^^^^^^ did you mean `max_connections`?
  |
  = help: the keys here are `max_connections`, `max_unrouted_connections`, `connections_per_client`, `connections_per_client_per_minute`, `unlimited_clients`, `ipv6_prefix`, `tracked_clients`, `max_memory`, `at_limit`, `early_data`, `max_client_hello`
");
}
