//! Routes that are wrong together, or that do nothing.

use insta::assert_snapshot;

use crate::{good, in_route, refusal};

#[test]
fn none() {
    assert_snapshot!(refusal(""), @r#"
error: the file has no routes, so there is nothing to do
 --> proxy.toml:1:1
  |
1 |
  | ^
  |
  = help: a route is written as
          [[routes]]
          name = "web"
          match = { ports = [8080] }
          action = { forward = ["127.0.0.1:3000"] }
"#);
    assert_snapshot!(refusal("workers = 2\nroutes = []\n"), @r#"
error: the file has no routes, so there is nothing to do
 --> proxy.toml:2:10
  |
2 | routes = []
  |          ^^
  |
  = help: a route is written as
          [[routes]]
          name = "web"
          match = { ports = [8080] }
          action = { forward = ["127.0.0.1:3000"] }
"#);
}

#[test]
fn none_that_is_enabled() {
    assert_snapshot!(in_route("enabled = false\n"), @"
error: no route is enabled, so there is nothing to do
 --> proxy.toml:6:11
  |
6 | enabled = false
  |           ^^^^^ this and every other route is off
");
}

#[test]
fn two_of_one_name() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "web"
match = { ports = [1] }
action = "refuse"

[[routes]]
name = "web"
match = { ports = [2] }
action = "refuse"
"#), @r#"
error: two routes are named "web"
 --> proxy.toml:8:8
  |
3 | name = "web"
  |        ----- the first one is here
...
8 | name = "web"
  |        ^^^^^ give this one another name
"#);
}

#[test]
fn two_that_can_not_be_told_apart() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "web"
match = { ports = ["8000-8010"], domains = ["*.a.com"] }
action = "refuse"

[[routes]]
name = "other"
action = "refuse"
[routes.match]
ports = [8005]
domains = ["b.com", "*.a.com"]
"#), @r#"
error: routes "web" and "other" can not be told apart
  --> proxy.toml:10:1
   |
 4 | match = { ports = ["8000-8010"], domains = ["*.a.com"] }
   |         ------------------------------------------------ "web" is here
...
10 | [routes.match]
   | ^^^^^^^^^^^^^^ with priority 0, both match port 8005, domain *.a.com
   |
   = help: give one of them a higher priority or a narrower match
"#);
}

#[test]
fn without_ports() {
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [] }\naction = \"refuse\""), @r#"
error: route "a" has no ports
 --> proxy.toml:3:19
  |
3 | match = { ports = [] }
  |                   ^^ at least one port has to be here
"#);
}

#[test]
fn without_targets() {
    assert_snapshot!(
        refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = { forward = [] }"),
        @r#"
error: route "a" forwards to nothing
 --> proxy.toml:4:22
  |
4 | action = { forward = [] }
  |                      ^^ at least one target has to be here
  |
  = help: to turn its connections away, write action = "refuse"
"#
    );
}

#[test]
fn fields_of_a_header_that_is_not_sent() {
    assert_snapshot!(in_route("proxy_v2 = { crc32c = true }"), @r#"
error: `proxy_v2` needs `send_proxy = "v2"`
 --> proxy.toml:6:12
  |
6 | proxy_v2 = { crc32c = true }
  |            ^^^^^^^^^^^^^^^^^ this has no effect: without `send_proxy`, no header is sent
"#);
    assert_snapshot!(in_route("send_proxy = \"v1\"\nproxy_v2 = {}"), @r#"
error: `proxy_v2` needs `send_proxy = "v2"`
 --> proxy.toml:7:12
  |
6 | send_proxy = "v1"
  |              ---- no header of version 2 is sent
7 | proxy_v2 = {}
  |            ^^ this has no effect
"#);
    good(&format!("{}{}", crate::ROUTE, "send_proxy = \"v2\"\nproxy_v2 = {}"));
}
