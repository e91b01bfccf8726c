//! A value of the right type that means nothing, or that is out of range. Both sides of each limit.

use insta::assert_snapshot;

use crate::{ROUTE, before_route, good, in_route, refusal};

fn taken(text: &str) {
    good(&format!("{text}{ROUTE}"));
}

#[test]
fn durations() {
    assert_snapshot!(before_route("[timeouts]\nconnection_timeout = \"30\""), @r#"
error: a duration needs a unit (ms, s, m, h, d): did you mean "30s"?
 --> proxy.toml:2:22
  |
2 | connection_timeout = "30"
  |                      ^^^^
"#);
    assert_snapshot!(before_route("[timeouts]\nconnection_timeout = \"0s\""), @r#"
error: a duration must be at least 1ms: every phase has a deadline, and zero is not one
 --> proxy.toml:2:22
  |
2 | connection_timeout = "0s"
  |                      ^^^^
"#);
    assert_snapshot!(before_route("[timeouts]\nno_data_timeout = \"never\""), @r#"
    error: `never` is no duration
     --> proxy.toml:2:19
      |
    2 | no_data_timeout = "never"
      |                   ^^^^^^^
      |
      = help: write "off"
    "#);
    taken("timeouts = { connection_timeout = \"1ms\", no_data_timeout = \"off\" }");
}

#[test]
fn sizes() {
    taken("limits = { early_data = \"0B\", max_client_hello = \"64KiB\" }");
    assert_snapshot!(before_route("[limits]\nmax_client_hello = \"65KiB\""), @r#"
error: expected a size from 1KiB to 64KiB, found 65KiB
 --> proxy.toml:2:20
  |
2 | max_client_hello = "65KiB"
  |                    ^^^^^^^
"#);
    assert_snapshot!(before_route("[limits]\nmax_client_hello = \"64kb\""), @r#"
error: unknown unit `kb` in a size: expected B, KiB, MiB or GiB (powers of 1024)
 --> proxy.toml:2:20
  |
2 | max_client_hello = "64kb"
  |                    ^^^^^^
"#);
    taken("proxy_protocol.max_header = \"16B\"");
    assert_snapshot!(before_route("[proxy_protocol]\nmax_header = \"15B\""), @r#"
error: expected a size from 16B to 65551B, found 15B
 --> proxy.toml:2:14
  |
2 | max_header = "15B"
  |              ^^^^^
"#);
    taken("proxy_protocol.max_header = \"65551B\"");
    assert_snapshot!(before_route("[proxy_protocol]\nmax_header = \"1MiB\""), @r#"
error: expected a size from 16B to 65551B, found 1MiB
 --> proxy.toml:2:14
  |
2 | max_header = "1MiB"
  |              ^^^^^^
"#);
}

#[test]
fn numbers() {
    taken("workers = 1");
    taken("workers = 256");
    assert_snapshot!(before_route("workers = 0"), @"
error: expected a whole number from 1 to 256
 --> proxy.toml:1:11
  |
1 | workers = 0
  |           ^ this is the number 0
");
    assert_snapshot!(before_route("workers = 257"), @"
error: expected a whole number from 1 to 256
 --> proxy.toml:1:11
  |
1 | workers = 257
  |           ^^^ this is the number 257
");
    assert_snapshot!(before_route("workers = -1"), @"
error: expected a whole number from 1 to 256
 --> proxy.toml:1:11
  |
1 | workers = -1
  |           ^^ this is the number -1
");
    taken("limits.max_connections = 1");
    assert_snapshot!(before_route("[limits]\nmax_connections = 0"), @"
error: expected a whole number from 1 to 4294967295
 --> proxy.toml:2:19
  |
2 | max_connections = 0
  |                   ^ this is the number 0
");
    taken("listeners = [{ backlog = 65535 }]");
    assert_snapshot!(before_route("[[listeners]]\nbacklog = 65536"), @"
error: expected a whole number from 1 to 65535
 --> proxy.toml:2:11
  |
2 | backlog = 65536
  |           ^^^^^ this is the number 65536
");
    assert_snapshot!(before_route("[keep_alive]\ncount = 128"), @"
error: expected a number of probes from 1 to 127, found 128
 --> proxy.toml:2:9
  |
2 | count = 128
  |         ^^^
");
    assert_snapshot!(before_route("[timeouts]\nkeep_alive_inactivity_multiplier = 0"), @"
error: expected a multiplier from 1 to 1000, found 0
 --> proxy.toml:2:36
  |
2 | keep_alive_inactivity_multiplier = 0
  |                                    ^
");
}

#[test]
fn words() {
    assert_snapshot!(before_route("[log]\nlevel = \"warning\""), @r#"
error: unknown value `warning`
 --> proxy.toml:2:9
  |
2 | level = "warning"
  |         ^^^^^^^^^ did you mean `warn`?
  |
  = help: the values here are `error`, `warn`, `info`, `debug`, `trace`
"#);
    assert_snapshot!(before_route("[log]\nformat = \"xml\""), @r#"
error: unknown value `xml`
 --> proxy.toml:2:10
  |
2 | format = "xml"
  |          ^^^^^ not a value that is known here
  |
  = help: the values here are `text`, `json`
"#);
    assert_snapshot!(before_route("[timeouts]\nkeep_alive_treatment = \"imortal\""), @r#"
error: unknown value `imortal`
 --> proxy.toml:2:24
  |
2 | keep_alive_treatment = "imortal"
  |                        ^^^^^^^^^ did you mean `immortal`?
  |
  = help: the values here are `standard`, `extended`, `immortal`
"#);
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = \"on\""), @r#"
error: unknown value `on`
 --> proxy.toml:2:16
  |
2 | accept_proxy = "on"
  |                ^^^^
  |
  = help: write "off", { required = ["10.0.0.0/8"] }, { required_from = ["10.0.0.0/8"] } or { optional = ["10.0.0.0/8"] }
"#);
    assert_snapshot!(in_route("send_proxy = \"v3\""), @r#"
error: unknown value `v3`
 --> proxy.toml:6:14
  |
6 | send_proxy = "v3"
  |              ^^^^ did you mean `v1`?
  |
  = help: the values here are `off`, `v1`, `v2`
"#);
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = \"refused\""), @r#"
error: unknown value `refused`, perhaps `refuse`
 --> proxy.toml:4:10
  |
4 | action = "refused"
  |          ^^^^^^^^^
  |
  = help: write { forward = ["127.0.0.1:3000"] } or "refuse"
"#);
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = \"forward\""), @r#"
error: `forward` needs a list
 --> proxy.toml:4:10
  |
4 | action = "forward"
  |          ^^^^^^^^^
  |
  = help: write { forward = ["127.0.0.1:3000"] } or "refuse"
"#);
}

#[test]
fn choices() {
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = {}"), @r#"
error: expected "off", { required = ["10.0.0.0/8"] }, { required_from = ["10.0.0.0/8"] } or { optional = ["10.0.0.0/8"] }
 --> proxy.toml:2:16
  |
2 | accept_proxy = {}
  |                ^^
"#);
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = { required = [\"::1\"], optional = [\"::1\"] }"), @r#"
error: only one key can be here
 --> proxy.toml:2:16
  |
2 | accept_proxy = { required = ["::1"], optional = ["::1"] }
  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write "off", { required = ["10.0.0.0/8"] }, { required_from = ["10.0.0.0/8"] } or { optional = ["10.0.0.0/8"] }
"#);
}

#[test]
fn ports_and_addresses() {
    assert_snapshot!(before_route("[[listeners]]\nports = [0]"), @"
error: port 0 can not be routed: ports run from 1 to 65535
 --> proxy.toml:2:10
  |
2 | ports = [0]
  |          ^
");
    assert_snapshot!(before_route("[[listeners]]\nports = [\"8010-8000\"]"), @r#"
error: port range 8010-8000 runs backwards
 --> proxy.toml:2:10
  |
2 | ports = ["8010-8000"]
  |          ^^^^^^^^^^^
  |
  = help: write "8000-8010"
"#);
    assert_snapshot!(before_route("[[listeners]]\nbind = [\"127.0.0.1:80\"]"), @r#"
error: expected an IPv4 or IPv6 address without a port, or "dual" for every address of both, found `127.0.0.1:80`
 --> proxy.toml:2:9
  |
2 | bind = ["127.0.0.1:80"]
  |         ^^^^^^^^^^^^^^
"#);
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = { required = [\"10.0.0.1/8\"] }"), @r#"
error: 10.0.0.1/8 has bits set beyond its prefix
 --> proxy.toml:2:30
  |
2 | accept_proxy = { required = ["10.0.0.1/8"] }
  |                              ^^^^^^^^^^^^
  |
  = help: write "10.0.0.0/8" for the network, or "10.0.0.1" for the address alone
"#);
}

#[test]
fn patterns() {
    let matching = |rest: &str| {
        refusal(&format!("[[routes]]\nname = \"a\"\naction = \"refuse\"\nmatch = {{ ports = [1], {rest} }}"))
    };
    assert_snapshot!(matching("domains = [\"a.*.com\"]"), @r#"
error: "a.*.com" has a wildcard inside: "*" can only be the whole first label, as in "*.example.com"
 --> proxy.toml:4:35
  |
4 | match = { ports = [1], domains = ["a.*.com"] }
  |                                   ^^^^^^^^^
"#);
    assert_snapshot!(matching("domains = [\"ok.com\", \"10.0.0.1\"]"), @r#"
error: "10.0.0.1" is an IP address, and SNI never carries an IP address: match on clients or ports
 --> proxy.toml:4:45
  |
4 | match = { ports = [1], domains = ["ok.com", "10.0.0.1"] }
  |                                             ^^^^^^^^^^
"#);
    assert_snapshot!(matching("clients = [\"10.0.0.0/33\"]"), @r#"
error: "10.0.0.0/33" has no valid prefix length: after the slash goes a number from 0 to 32
 --> proxy.toml:4:35
  |
4 | match = { ports = [1], clients = ["10.0.0.0/33"] }
  |                                   ^^^^^^^^^^^^^
"#);
    assert_snapshot!(matching("alpn = [\"\"]"), @r#"
error: an ALPN protocol name is missing
 --> proxy.toml:4:32
  |
4 | match = { ports = [1], alpn = [""] }
  |                                ^^
  |
  = help: write one such as "h2", or leave the list out to match any
"#);
}

#[test]
fn names() {
    let named =
        |name: &str| format!("[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [1] }}\naction = \"refuse\"");
    good(&named(&"ü".repeat(64)));
    assert_snapshot!(refusal(&named(&"ü".repeat(65))), @r#"
error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:2:8
  |
2 | name = "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#);
    assert_snapshot!(refusal(&named("")), @r#"
error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:2:8
  |
2 | name = ""
  |        ^^
"#);
    assert_snapshot!(refusal(&named("a\\tb")), @r#"
error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:2:8
  |
2 | name = "a\tb"
  |        ^^^^^^
"#);
}
