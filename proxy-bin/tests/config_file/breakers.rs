//! `[breaker]` and the breakers of routes: field by field over one another, and waits that contradict each other.

use insta::assert_snapshot;
use proxy_core::Bound;

use crate::{ROUTE, before_route, good, in_route, refusal};

#[test]
fn each_field_has_the_nearest_layer() {
    let config = good(&format!(
        "[breaker]\nfailures_in_a_row = 7\ncool_down = \"3s\"\n{ROUTE}breaker = {{ cool_down = \"4s\" }}\n"
    ));
    let breaker = config.settings.routes.route(0).unwrap().payload.breaker;
    assert_eq!(breaker.failures_in_a_row.get(), 7);
    assert_eq!((breaker.cool_down, breaker.longest_cool_down), (Bound::secs(4), Bound::secs(120)));
}

#[test]
fn waits_as_long_as_the_longest_are_the_last_that_are_taken() {
    good(&format!("[breaker]\ncool_down = \"2m\"\n{ROUTE}"));
    assert_snapshot!(before_route("[breaker]\ncool_down = \"121s\""), @r#"
error: `cool_down` (2m1s) is longer than `longest_cool_down` (2m)
 --> proxy.toml:2:13
  |
2 | cool_down = "121s"
  |             ^^^^^^ by default, `longest_cool_down` is 2m
  |
  = help: a wait can only grow: set both
"#);
}

#[test]
fn both_written() {
    assert_snapshot!(before_route("[breaker]\nlongest_cool_down = \"1m\"\ncool_down = \"2m\"\n"), @r#"
error: `cool_down` (2m) is longer than `longest_cool_down` (1m)
 --> proxy.toml:3:13
  |
2 | longest_cool_down = "1m"
  |                     ---- which is here
3 | cool_down = "2m"
  |             ^^^^
  |
  = help: a wait can only grow: set both
"#);
}

#[test]
fn the_longest_below_what_is_built_in() {
    assert_snapshot!(in_route("breaker = { longest_cool_down = \"9s\" }"), @r#"
error: `cool_down` (10s) is longer than `longest_cool_down` (9s)
 --> proxy.toml:6:33
  |
6 | breaker = { longest_cool_down = "9s" }
  |                                 ^^^^ by default, `cool_down` is 10s
  |
  = help: a wait can only grow: set both
"#);
}

#[test]
fn a_route_against_the_whole_file() {
    assert_snapshot!(refusal(&format!(
        "[breaker]\nlongest_cool_down = \"1m\"\n{ROUTE}breaker = {{ cool_down = \"2m\" }}\n"
    )), @r#"
error: `cool_down` (2m) is longer than `longest_cool_down` (1m)
 --> proxy.toml:8:25
  |
2 | longest_cool_down = "1m"
  |                     ---- which is here
...
8 | breaker = { cool_down = "2m" }
  |                         ^^^^
  |
  = help: a wait can only grow: set both
"#);
}

#[test]
fn a_file_that_is_wrong_is_not_held_against_its_routes() {
    assert_snapshot!(refusal(&format!(
        "[breaker]\ncool_down = \"3m\"\n{ROUTE}breaker = {{ failures_in_a_row = 3 }}\n"
    )), @r#"
error: `cool_down` (3m) is longer than `longest_cool_down` (2m)
 --> proxy.toml:2:13
  |
2 | cool_down = "3m"
  |             ^^^^ by default, `longest_cool_down` is 2m
  |
  = help: a wait can only grow: set both
"#);
    assert_snapshot!(refusal(&format!(
        "[breaker]\nlongest_cool_down = \"soon\"\n{ROUTE}breaker = {{ cool_down = \"3m\" }}\n"
    )), @r#"
error: expected a duration such as "500ms", "30s" or "1h30m", found `soon`
 --> proxy.toml:2:21
  |
2 | longest_cool_down = "soon"
  |                     ^^^^^^
"#);
}

#[test]
fn values() {
    good(&format!("[breaker]\nfailures_in_a_row = 1\n{ROUTE}"));
    assert_snapshot!(before_route("[breaker]\nfailures_in_a_row = 0"), @"
error: expected a whole number from 1 to 4294967295
 --> proxy.toml:2:21
  |
2 | failures_in_a_row = 0
  |                     ^ this is the number 0
");
    assert_snapshot!(before_route("[breaker]\ncooldown = \"1s\""), @r#"
error: unknown key `cooldown`
 --> proxy.toml:2:1
  |
2 | cooldown = "1s"
  | ^^^^^^^^ did you mean `cool_down`?
  |
  = help: the keys here are `failures_in_a_row`, `cool_down`, `longest_cool_down`
"#);
}
