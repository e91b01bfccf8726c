//! All errors of a file at once, in the order of the file, and none that only follows from another.

use insta::assert_snapshot;
use proxy_bin::config::Config;

use crate::{ROUTE, refusal};

const EVERY_KIND: &str = r#"
workers = 0
graceful_shutdown_timeout = 30

[timeouts]
conection_timeout = "5s"
inactivity_timeout = "soon"

[log]
level = "loud"

[[listeners]]
ports = [8080, 0]
bind = ["127.0.0.1:80"]

[[routes]]
name = "a"
match = { ports = [8080], domains = ["a.*.com", "b.com"] }
action = { forward = ["10.0.0.1", "10.0.0.2:80"] }
send_proxy = "v3"
proxy_v2 = {}

[[routes]]
name = "a"
match = { ports = [8081] }
action = { forwrad = ["10.0.0.1:80"] }

[[routes]]
name = "a"
match = { ports = [8082] }
action = { forward = [] }
"#;

#[test]
fn of_every_kind() {
    assert_snapshot!(refusal(EVERY_KIND));
}

#[test]
fn what_was_already_found_wrong_is_not_held_against_the_rest() {
    // The only port, network, target and route are wrong: that there are none left is no second error.
    assert_snapshot!(refusal(r#"
[[listeners]]
ports = [8080]
accept_proxy = { required = ["10.0.0.0/99"] }

[[routes]]
name = "a"
match = { ports = ["none"] }
action = { forward = ["nowhere"] }
"#), @r#"
error: "10.0.0.0/99" has no valid prefix length: after the slash goes a number from 0 to 32
 --> proxy.toml:4:30
  |
4 | accept_proxy = { required = ["10.0.0.0/99"] }
  |                              ^^^^^^^^^^^^^

error: "none" is not a port
 --> proxy.toml:8:20
  |
8 | match = { ports = ["none"] }
  |                    ^^^^^^
  |
  = help: write digits only, such as 443 or "8000-8010"

error: "nowhere" lacks a port
 --> proxy.toml:9:23
  |
9 | action = { forward = ["nowhere"] }
  |                       ^^^^^^^^^
  |
  = help: write "nowhere:3000", or "nowhere:preserve" for the port the client came to
"#);
}

#[test]
fn a_match_that_lost_its_domain_clashes_with_nothing() {
    assert_snapshot!(refusal(r#"
[[routes]]
name = "a"
match = { ports = [8080], domains = ["-"] }
action = "refuse"

[[routes]]
name = "b"
match = { ports = [8080] }
action = "refuse"
"#), @r#"
error: "-" has the label "-": a label neither starts nor ends with a hyphen
 --> proxy.toml:4:38
  |
4 | match = { ports = [8080], domains = ["-"] }
  |                                      ^^^
"#);
}

#[test]
fn a_route_that_lacks_a_key_is_read_to_its_end_first() {
    assert_snapshot!(refusal("[[routes]]\npriority = \"x\"\nmatch = { ports = [0] }\n"), @r#"
error: missing key `name`
 --> proxy.toml:1:1
  |
1 | [[routes]]
  | ^^^^^^^^^^ `name` has to be set here

error: expected a whole number that fits 32 bits
 --> proxy.toml:2:12
  |
2 | priority = "x"
  |            ^^^ this is a string

error: port 0 can not be routed: ports run from 1 to 65535
 --> proxy.toml:3:20
  |
3 | match = { ports = [0] }
  |                    ^
"#);
}

#[test]
fn but_no_more_than_fifty() {
    let routes = "[[routes]]\nname = \"a\"\nmatch = { ports = [] }\naction = \"refuse\"\n".repeat(100);
    assert_eq!(Config::parse(&routes, "proxy.toml").unwrap_err().findings().len(), 51);
    let wrong = |count: usize| -> usize {
        let keys: String = (0..count).map(|n| format!("k{n} = 1\n")).collect();
        Config::parse(&format!("{keys}{ROUTE}"), "proxy.toml").unwrap_err().findings().len()
    };
    assert_eq!((wrong(49), wrong(50), wrong(51), wrong(500)), (49, 50, 51, 51));
}
