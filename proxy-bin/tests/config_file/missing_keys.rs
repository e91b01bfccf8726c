//! A table without a key that it needs.

use insta::assert_snapshot;

use crate::refusal;

#[test]
fn a_route_without_a_name() {
    assert_snapshot!(refusal("[[routes]]\nmatch = { ports = [1] }\naction = \"refuse\""), @"
error: missing key `name`
 --> proxy.toml:1:1
  |
1 | [[routes]]
  | ^^^^^^^^^^ `name` has to be set here
");
}

#[test]
fn a_route_without_a_match() {
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\naction = \"refuse\""), @"
error: missing key `match`
 --> proxy.toml:1:1
  |
1 | [[routes]]
  | ^^^^^^^^^^ `match` has to be set here
");
}

#[test]
fn a_route_without_an_action() {
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }"), @"
error: missing key `action`
 --> proxy.toml:1:1
  |
1 | [[routes]]
  | ^^^^^^^^^^ `action` has to be set here
");
}

#[test]
fn an_inline_route_without_an_action() {
    assert_snapshot!(refusal("routes = [{ name = \"a\", match = { ports = [1] } }]"), @r#"
error: missing key `action`
 --> proxy.toml:1:11
  |
1 | routes = [{ name = "a", match = { ports = [1] } }]
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `action` has to be set here
"#);
}

#[test]
fn a_match_without_ports() {
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { domains = [\"a.com\"] }\naction = \"refuse\""), @r#"
error: missing key `ports`
 --> proxy.toml:3:9
  |
3 | match = { domains = ["a.com"] }
  |         ^^^^^^^^^^^^^^^^^^^^^^^ `ports` has to be set here
"#);
}

#[test]
fn a_target_without_a_port() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "a"
match = { ports = [1] }
action = { forward = [{ host = "a" }] }
"#), @r#"
error: missing key `port`
 --> proxy.toml:5:23
  |
5 | action = { forward = [{ host = "a" }] }
  |                       ^^^^^^^^^^^^^^ `port` has to be set here
"#);
}

#[test]
fn the_second_of_two_routes_without_a_name() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "a"
match = { ports = [1] }
action = "refuse"

[[routes]]
match = { ports = [2] }
action = "refuse"
"#), @"
error: missing key `name`
 --> proxy.toml:7:1
  |
7 | [[routes]]
  | ^^^^^^^^^^ `name` has to be set here
");
}
