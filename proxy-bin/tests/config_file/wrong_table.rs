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
