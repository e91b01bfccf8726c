//! A key that is known, but in another table: what is said is where it belongs.

use insta::assert_snapshot;

use crate::{before_route, in_route, refusal};

#[test]
fn what_a_route_matches_beside_its_name() {
    assert_snapshot!(refusal("[[routes]]\nname = \"web\"\nports = [8080]\naction = \"refuse\"\nmatch = { ports = [1] }"), @"
error: unknown key `ports`
 --> proxy.toml:3:1
  |
3 | ports = [8080]
  | ^^^^^ it belongs into `match`
  |
  = help: write `match = { ports = … }`
");
    assert_snapshot!(in_route("domain = [\"a.example\"]"), @r#"
error: unknown key `domain`
 --> proxy.toml:6:1
  |
6 | domain = ["a.example"]
  | ^^^^^^ did you mean `domains` in `match`?
  |
  = help: write `match = { domains = … }`
"#);
    assert_snapshot!(in_route("forward = [\"127.0.0.1:80\"]"), @r#"
error: unknown key `forward`
 --> proxy.toml:6:1
  |
6 | forward = ["127.0.0.1:80"]
  | ^^^^^^^ it belongs into `action`
  |
  = help: write `action = { forward = … }`
"#);
}

#[test]
fn what_a_route_is_within_its_match() {
    assert_snapshot!(refusal("[[routes]]\nname = \"web\"\naction = \"refuse\"\nmatch = { ports = [1], priority = 3 }"), @"
error: unknown key `priority`
 --> proxy.toml:4:24
  |
4 | match = { ports = [1], priority = 3 }
  |                        ^^^^^^^^ it belongs beside `match`
");
}

#[test]
fn a_deadline_outside_the_timeouts() {
    assert_snapshot!(before_route("connection_timeout = \"5s\""), @r#"
error: unknown key `connection_timeout`
 --> proxy.toml:1:1
  |
1 | connection_timeout = "5s"
  | ^^^^^^^^^^^^^^^^^^ it belongs into `[timeouts]`
"#);
    assert_snapshot!(in_route("connection_timeout = \"5s\""), @r#"
error: unknown key `connection_timeout`
 --> proxy.toml:6:1
  |
6 | connection_timeout = "5s"
  | ^^^^^^^^^^^^^^^^^^ it belongs into `timeouts`
  |
  = help: write `timeouts = { connection_timeout = … }`
"#);
    assert_snapshot!(before_route("[pools.chain]\nconnectionTimeout = \"5s\""), @r#"
error: unknown key `connectionTimeout`
 --> proxy.toml:2:1
  |
2 | connectionTimeout = "5s"
  | ^^^^^^^^^^^^^^^^^ did you mean `connection_timeout` in `timeouts`?
  |
  = help: write `timeouts = { connection_timeout = … }`
"#);
}

#[test]
fn what_is_for_the_whole_file_below_a_table() {
    assert_snapshot!(before_route("[log]\nlevel = \"info\"\nworkers = 2"), @"
error: unknown key `workers`
 --> proxy.toml:3:1
  |
3 | workers = 2
  | ^^^^^^^ it belongs at the top of the file, before the first table
");
}

#[test]
fn what_a_listener_has_in_a_route() {
    assert_snapshot!(in_route("accept_proxy = \"off\""), @r#"
error: unknown key `accept_proxy`
 --> proxy.toml:6:1
  |
6 | accept_proxy = "off"
  | ^^^^^^^^^^^^ it belongs into `[[listeners]]`
"#);
    assert_snapshot!(in_route("required_from = [\"10.0.0.0/8\"]"), @r#"
error: unknown key `required_from`
 --> proxy.toml:6:1
  |
6 | required_from = ["10.0.0.0/8"]
  | ^^^^^^^^^^^^^ it belongs into `[listeners.accept_proxy]`
"#);
}

#[test]
fn what_several_tables_have() {
    assert_snapshot!(before_route("[audit]\nmax_connections = 5"), @"
error: unknown key `max_connections`
 --> proxy.toml:2:1
  |
2 | max_connections = 5
  | ^^^^^^^^^^^^^^^ it belongs into `[limits]`, or into `[[listeners]]`, or into `[[routes]]`
");
}

#[test]
fn a_list_of_tables_that_is_written_as_a_table_with_a_name() {
    assert_snapshot!(refusal("[routes.web]\nmatch = { ports = [1] }\naction = \"refuse\""), @r#"
error: expected a list
 --> proxy.toml:1:2
  |
1 | [routes.web]
  |  ^^^^^^ this is a table
  |
  = help: write [[routes]], and `name = "web"` below it
"#);
    assert_snapshot!(refusal("[routes.\"web\".match]\nports = [1]"), @r#"
error: expected a list
 --> proxy.toml:1:2
  |
1 | [routes."web".match]
  |  ^^^^^^ this is a table
  |
  = help: write [[routes]], and `name = "web"` below it
"#);
    assert_snapshot!(before_route("[listeners.public]\nports = [1]"), @r#"
error: expected a list
 --> proxy.toml:1:2
  |
1 | [listeners.public]
  |  ^^^^^^^^^ this is a table
  |
  = help: write [[listeners]]
"#);
}

#[test]
fn a_key_by_the_name_that_other_proxies_have_for_it() {
    assert_snapshot!(in_route("timeouts = { idle = \"5s\" }"), @r#"
error: unknown key `idle`
 --> proxy.toml:6:14
  |
6 | timeouts = { idle = "5s" }
  |              ^^^^ did you mean `inactivity_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`
"#);
    assert_snapshot!(before_route("[timeouts]\nclient = \"5s\"\nclient-fin = \"1s\"\nconnect = \"1s\""), @r#"
error: unknown key `client`
 --> proxy.toml:2:1
  |
2 | client = "5s"
  | ^^^^^^ did you mean `inactivity_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`

error: unknown key `client-fin`
 --> proxy.toml:3:1
  |
3 | client-fin = "1s"
  | ^^^^^^^^^^ did you mean `half_closed_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`

error: unknown key `connect`
 --> proxy.toml:4:1
  |
4 | connect = "1s"
  | ^^^^^^^ did you mean `connection_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`
"#);
}
