//! A value of the wrong type.

use insta::assert_snapshot;

use crate::{ROUTE, before_route, in_route, refusal};

#[test]
fn a_number_for_a_duration() {
    assert_snapshot!(before_route("graceful_shutdown_timeout = 30"), @r#"
error: expected a duration such as "30s", "5m" or "1h30m"
 --> proxy.toml:1:29
  |
1 | graceful_shutdown_timeout = 30
  |                             ^^ this is the number 30
"#);
}

#[test]
fn a_number_for_a_size() {
    assert_snapshot!(before_route("[limits]\nearly_data = 65536"), @r#"
error: expected a size such as "512B", "64KiB" or "1MiB"
 --> proxy.toml:2:14
  |
2 | early_data = 65536
  |              ^^^^^ this is the number 65536
"#);
}

#[test]
fn a_string_for_a_number() {
    assert_snapshot!(before_route("workers = \"2\""), @r#"
error: expected a whole number from 1 to 256
 --> proxy.toml:1:11
  |
1 | workers = "2"
  |           ^^^ this is a string
"#);
}

#[test]
fn a_fraction_for_a_number() {
    assert_snapshot!(before_route("workers = 1.5"), @"
error: expected a whole number from 1 to 256
 --> proxy.toml:1:11
  |
1 | workers = 1.5
  |           ^^^ this is the number 1.5
");
}

#[test]
fn a_date() {
    assert_snapshot!(before_route("workers = 2026-11-23"), @"
error: no key takes a date or a time
 --> proxy.toml:1:11
  |
1 | workers = 2026-11-23
  |           ^^^^^^^^^^ this is a date or a time
");
}

#[test]
fn a_list_for_a_table() {
    assert_snapshot!(before_route("limits = []"), @"
error: expected a table
 --> proxy.toml:1:10
  |
1 | limits = []
  |          ^^ this is a list
");
}

#[test]
fn a_list_for_a_route_and_its_match() {
    assert_snapshot!(refusal("routes = [[\"a\"], { name = \"a\", match = [[1]], action = \"refuse\" }]"), @r#"
error: expected a table
 --> proxy.toml:1:11
  |
1 | routes = [["a"], { name = "a", match = [[1]], action = "refuse" }]
  |           ^^^^^ this is a list

error: expected a table
 --> proxy.toml:1:40
  |
1 | routes = [["a"], { name = "a", match = [[1]], action = "refuse" }]
  |                                        ^^^^^ this is a list
"#);
}

#[test]
fn an_array_of_tables_for_a_table() {
    assert_snapshot!(before_route("[[limits]]\nmax_connections = 1\n[[limits]]\nmax_connections = 2"), @"
error: expected a table
 --> proxy.toml:1:1
  |
1 | [[limits]]
  | ^^^^^^^^^^ this is a list
");
}

#[test]
fn a_table_for_an_array_of_tables() {
    assert_snapshot!(refusal("[routes]\nname = \"web\""), @"
error: expected a list
 --> proxy.toml:1:1
  |
1 | [routes]
  | ^^^^^^^^ this is a table
  |
  = help: write [[routes]]
");
}

#[test]
fn a_word_for_a_list_of_ports() {
    assert_snapshot!(before_route("[[listeners]]\nports = 8080"), @"
error: expected a list
 --> proxy.toml:2:9
  |
2 | ports = 8080
  |         ^^^^ this is the number 8080
  |
  = help: write [8080]
");
}

#[test]
fn one_value_for_a_list_shows_the_list() {
    assert_snapshot!(before_route("[[listeners]]\nports = \"80, 443\""), @r#"
error: expected a list
 --> proxy.toml:2:9
  |
2 | ports = "80, 443"
  |         ^^^^^^^^^ this is a string
  |
  = help: write ["80", "443"]
"#);
    assert_snapshot!(before_route("[[listeners]]\nbind = '::1'"), @"
error: expected a list
 --> proxy.toml:2:8
  |
2 | bind = '::1'
  |        ^^^^^ this is a string
  |
  = help: write ['::1']
");
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = { forward = \"127.0.0.1:80\" }"), @r#"
error: expected a list
 --> proxy.toml:4:22
  |
4 | action = { forward = "127.0.0.1:80" }
  |                      ^^^^^^^^^^^^^^ this is a string
  |
  = help: write ["127.0.0.1:80"]
"#);
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = { forward = { host = \"a\", port = 1 } }"), @r#"
error: expected a list
 --> proxy.toml:4:22
  |
4 | action = { forward = { host = "a", port = 1 } }
  |                      ^^^^^^^^^^^^^^^^^^^^^^^^ this is a table
  |
  = help: write [{ host = "a", port = 1 }]
"#);
}

#[test]
fn a_boolean_for_a_port() {
    assert_snapshot!(before_route("[[listeners]]\nports = [8080, true]"), @r#"
error: expected a port from 1 to 65535, such as 443, or a range of ports, such as "8000-8010"
 --> proxy.toml:2:16
  |
2 | ports = [8080, true]
  |                ^^^^ this is the boolean true
"#);
}

#[test]
fn a_number_for_an_address() {
    assert_snapshot!(before_route("[[listeners]]\nbind = [127]"), @r#"
error: expected an IPv4 or IPv6 address without a port, or "dual" for every address of both
 --> proxy.toml:2:9
  |
2 | bind = [127]
  |         ^^^ this is the number 127
"#);
}

#[test]
fn a_boolean_for_accept_proxy() {
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = true"), @r#"
error: expected "off", { required = ["10.0.0.0/8"] }, { required_from = ["10.0.0.0/8"] } or { optional = ["10.0.0.0/8"] }
 --> proxy.toml:2:16
  |
2 | accept_proxy = true
  |                ^^^^ this is the boolean true
"#);
}

#[test]
fn a_word_that_needs_a_list() {
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = \"required\""), @r#"
error: `required` needs a list
 --> proxy.toml:2:16
  |
2 | accept_proxy = "required"
  |                ^^^^^^^^^^
  |
  = help: write "off", { required = ["10.0.0.0/8"] }, { required_from = ["10.0.0.0/8"] } or { optional = ["10.0.0.0/8"] }
"#);
}

#[test]
fn a_string_for_a_list_of_networks() {
    assert_snapshot!(before_route("[[listeners]]\naccept_proxy = { required = \"10.0.0.0/8\" }"), @r#"
error: expected a list
 --> proxy.toml:2:29
  |
2 | accept_proxy = { required = "10.0.0.0/8" }
  |                             ^^^^^^^^^^^^ this is a string
  |
  = help: write ["10.0.0.0/8"]
"#);
}

#[test]
fn a_number_for_a_word() {
    assert_snapshot!(before_route("[log]\nlevel = 3"), @r#"
error: expected a word in quotes
 --> proxy.toml:2:9
  |
2 | level = 3
  |         ^
  |
  = help: the words here are `"error"`, `"warn"`, `"info"`, `"debug"`, `"trace"`
"#);
}

#[test]
fn a_table_for_a_word() {
    assert_snapshot!(before_route("[log]\nlevel = { info = 3 }"), @"
error: expected a word in quotes
 --> proxy.toml:2:18
  |
2 | level = { info = 3 }
  |                  ^
");
}

#[test]
fn a_number_for_a_name() {
    assert_snapshot!(refusal("[[routes]]\nname = 1\nmatch = { ports = [1] }\naction = \"refuse\""), @"
error: expected a name in quotes
 --> proxy.toml:2:8
  |
2 | name = 1
  |        ^ this is the number 1
");
}

#[test]
fn a_string_for_a_priority() {
    assert_snapshot!(in_route("priority = \"high\""), @r#"
error: expected a whole number that fits 32 bits
 --> proxy.toml:6:12
  |
6 | priority = "high"
  |            ^^^^^^ this is a string
"#);
}

#[test]
fn a_priority_beyond_32_bits() {
    assert_snapshot!(in_route("priority = 3000000000"), @"
error: expected a whole number that fits 32 bits
 --> proxy.toml:6:12
  |
6 | priority = 3000000000
  |            ^^^^^^^^^^ this is the number 3000000000
");
}

#[test]
fn a_string_for_a_switch() {
    assert_snapshot!(in_route("enabled = \"yes\""), @r#"
error: expected true or false
 --> proxy.toml:6:11
  |
6 | enabled = "yes"
  |           ^^^^^ this is a string
"#);
}

#[test]
fn a_list_for_an_action() {
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = [\"127.0.0.1:80\"]"), @r#"
error: expected { forward = ["127.0.0.1:3000"] } or "refuse"
 --> proxy.toml:4:10
  |
4 | action = ["127.0.0.1:80"]
  |          ^^^^^^^^^^^^^^^^ this is a list
"#);
}

#[test]
fn a_number_for_a_target() {
    assert_snapshot!(refusal("[[routes]]\nname = \"a\"\nmatch = { ports = [1] }\naction = { forward = [80] }"), @r#"
error: expected a target such as "10.0.0.1:3000", "unix:/run/app.sock" or { host = "10.0.0.1", port = 3000 }
 --> proxy.toml:4:23
  |
4 | action = { forward = [80] }
  |                       ^^ this is the number 80
"#);
}

#[test]
fn a_number_that_overflows() {
    assert_snapshot!(before_route("workers = 340282366920938463463374607431768211456"), @"
error: a number this large is nowhere taken
 --> proxy.toml:1:11
  |
1 | workers = 340282366920938463463374607431768211456
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
");
}

#[test]
fn true_for_a_word() {
    assert_snapshot!(in_route("send_proxy = true"), @r#"
error: expected a word in quotes
 --> proxy.toml:6:14
  |
6 | send_proxy = true
  |              ^^^^
  |
  = help: the words here are `"off"`, `"v1"`, `"v2"`
"#);
}

#[test]
fn a_word_that_is_written_as_a_key() {
    assert_snapshot!(refusal(&ROUTE.replace("{ forward = [\"127.0.0.1:3000\"] }", "{ refuse = true }")), @r#"
    error: unknown key `refuse`
     --> proxy.toml:5:12
      |
    5 | action = { refuse = true }
      |            ^^^^^^ this is a word, not a key
      |
      = help: write action = "refuse"
    "#);
}

#[test]
fn a_deadline_that_is_to_be_off() {
    assert_snapshot!(before_route("[timeouts]\nmax_connection_lifetime = \"off\"\n"), @r#"
    error: `off` is no duration
     --> proxy.toml:2:27
      |
    2 | max_connection_lifetime = "off"
      |                           ^^^^^
      |
      = help: write one, such as "30s" or "12h"; the longest is "3650d"
    "#);
}
