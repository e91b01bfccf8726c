//! Keepalive settings that the kernel does not take.

use insta::assert_snapshot;

use crate::{ROUTE, before_route, good, in_route};

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
