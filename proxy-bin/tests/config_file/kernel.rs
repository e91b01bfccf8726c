//! Keepalive settings that the kernel does not take.

use insta::assert_snapshot;
use proxy_bin::config::Ink;

use crate::{ROUTE, before_route, good, in_route};

fn warnings(text: &str) -> String {
    good(text).warnings.render(Ink::Plain)
}

#[test]
fn part_of_a_second() {
    assert_snapshot!(before_route("[keep_alive]\nidle = \"1500ms\""), @r#"
error: the kernel counts this in whole seconds, and 1s500ms is not one
 --> proxy.toml:2:8
  |
2 | idle = "1500ms"
  |        ^^^^^^^^
"#);
    assert_snapshot!(in_route("keep_alive = { interval = \"500ms\" }"), @r#"
error: the kernel counts this in whole seconds, and 500ms is not one
 --> proxy.toml:6:27
  |
6 | keep_alive = { interval = "500ms" }
  |                           ^^^^^^^
"#);
    good(&format!("keep_alive = {{ idle = \"1s\", interval = \"1s\", user_timeout = \"1500ms\" }}{ROUTE}"));
}

#[test]
fn too_long() {
    good(&format!("keep_alive = {{ idle = \"32767s\", user_timeout = \"2147483647ms\" }}{ROUTE}"));
    assert_snapshot!(before_route("[keep_alive]\nidle = \"32768s\""), @r#"
error: the kernel takes at most 32767s here
 --> proxy.toml:2:8
  |
2 | idle = "32768s"
  |        ^^^^^^^^
"#);
    assert_snapshot!(before_route("[keep_alive]\nuser_timeout = \"2147483648ms\""), @r#"
error: the kernel takes a user timeout of at most 24 days
 --> proxy.toml:2:16
  |
2 | user_timeout = "2147483648ms"
  |                ^^^^^^^^^^^^^^
"#);
}

#[test]
fn a_user_timeout_before_the_write_stall() {
    let user = |time: &str| format!("[keep_alive]\nuser_timeout = \"{time}\"\n");
    let stall = |time: &str| format!("timeouts.write_stall_timeout = \"{time}\"\n");
    assert_snapshot!(warnings(&format!("{}{ROUTE}", user("299s"))), @r#"
warning: `user_timeout` (4m59s) is shorter than `write_stall_timeout` (5m)
 --> proxy.toml:2:16
  |
2 | user_timeout = "299s"
  |                ^^^^^^ by default, `write_stall_timeout` is 5m
  |
  = help: the kernel resets a peer that takes nothing for `user_timeout`, before `write_stall_timeout` ends it: make `user_timeout` longer, or the other one shorter
"#);
    assert_eq!(warnings(&format!("{}{ROUTE}", user("5m"))), "", "as long is long enough");
    assert_snapshot!(warnings(&format!("{}{ROUTE}", stall("361s"))), @r#"
warning: `user_timeout` (6m) is shorter than `write_stall_timeout` (6m1s)
 --> proxy.toml:1:32
  |
1 | timeouts.write_stall_timeout = "361s"
  |                                ^^^^^^ by default, `user_timeout` is 6m
  |
  = help: the kernel resets a peer that takes nothing for `user_timeout`, before `write_stall_timeout` ends it: make `user_timeout` longer, or the other one shorter
"#);
    assert_snapshot!(warnings(&format!("{ROUTE}{}{}", stall("2m"), "keep_alive.user_timeout = \"1m\"\n")), @r#"
warning: `user_timeout` (1m) is shorter than `write_stall_timeout` (2m)
 --> proxy.toml:7:27
  |
6 | timeouts.write_stall_timeout = "2m"
  |                                ---- which is here
7 | keep_alive.user_timeout = "1m"
  |                           ^^^^
  |
  = help: the kernel resets a peer that takes nothing for `user_timeout`, before `write_stall_timeout` ends it: make `user_timeout` longer, or the other one shorter
"#);
    let sooner = format!("{}{}{ROUTE}", stall("1m"), user("2m"));
    assert_eq!(warnings(&sooner), "", "both are shorter than by default");
    assert_eq!(warnings(&format!("{}{ROUTE}{}", user("4m"), stall("3m"))), "", "the route's own counts");
}

#[test]
fn a_user_timeout_is_one_finding_for_all_that_have_it() {
    let second = ROUTE.replace("web", "other").replace("8080", "8081");
    let text =
        "[keep_alive]\nuser_timeout = \"6m\"\n\n[pools.chain.timeouts]\nwrite_stall_timeout = \"7m\"\n";
    assert_snapshot!(warnings(&format!("{text}{ROUTE}{second}")), @r#"
warning: `user_timeout` (6m) is shorter than `write_stall_timeout` (7m)
 --> proxy.toml:2:16
  |
2 | user_timeout = "6m"
  |                ^^^^
...
5 | write_stall_timeout = "7m"
  |                       ---- which is here
  |
  = help: the kernel resets a peer that takes nothing for `user_timeout`, before `write_stall_timeout` ends it: make `user_timeout` longer, or the other one shorter
"#);
}

#[test]
fn a_user_timeout_of_a_route_that_opens_nothing() {
    let off = ROUTE.replace("web", "off").replace("8080", "8081");
    let keep_alive = "keep_alive.user_timeout = \"1m\"\n";
    assert_eq!(warnings(&format!("{ROUTE}{off}enabled = false\n{keep_alive}")), "");
    let refusing = off.replace("{ forward = [\"127.0.0.1:3000\"] }", "\"refuse\"");
    assert_eq!(warnings(&format!("{ROUTE}{refusing}{keep_alive}")), "");
}
