//! A target that is none, or that is written like something else.

use insta::assert_snapshot;

use crate::refusal;

fn with_target(target: &str) -> String {
    refusal(&format!(
        "[[routes]]\nname = \"a\"\nmatch = {{ ports = [1] }}\naction = {{ forward = [{target}] }}"
    ))
}

#[test]
fn targets() {
    assert_snapshot!(with_target(r#""10.0.0.1""#), @r#"
error: "10.0.0.1" lacks a port
 --> proxy.toml:4:23
  |
4 | action = { forward = ["10.0.0.1"] }
  |                       ^^^^^^^^^^
  |
  = help: write "10.0.0.1:3000", or "10.0.0.1:preserve" for the port the client came to
"#);
    assert_snapshot!(with_target(r#""::1""#), @r#"
error: "::1" is an IPv6 address without a port
 --> proxy.toml:4:23
  |
4 | action = { forward = ["::1"] }
  |                       ^^^^^
  |
  = help: write it in brackets, as in "[::1]:3000"
"#);
    assert_snapshot!(with_target(r#""10.0.0.1:0""#), @r#"
error: port 0 can not be connected to
 --> proxy.toml:4:23
  |
4 | action = { forward = ["10.0.0.1:0"] }
  |                       ^^^^^^^^^^^^
  |
  = help: write a port from 1 to 65535, or "preserve"
"#);
    assert_snapshot!(with_target(r#"{ host = "10.0.0.1", port = 65536 }"#), @r#"
error: port 65536 does not exist: ports run from 1 to 65535
 --> proxy.toml:4:51
  |
4 | action = { forward = [{ host = "10.0.0.1", port = 65536 }] }
  |                                                   ^^^^^
"#);
    assert_snapshot!(with_target(r#"{ host = "10.0.0.1", port = "same" }"#), @r#"
error: "same" is not a port
 --> proxy.toml:4:51
  |
4 | action = { forward = [{ host = "10.0.0.1", port = "same" }] }
  |                                                   ^^^^^^
  |
  = help: write a number from 1 to 65535, or "preserve" for the port the client came to
"#);
    assert_snapshot!(with_target(r#"{ host = "a b", port = 1 }"#), @r#"
error: "a b" is not a host: ' ' can not be in a name, which has letters, digits, "-", "_" and dots
 --> proxy.toml:4:32
  |
4 | action = { forward = [{ host = "a b", port = 1 }] }
  |                                ^^^^^
"#);
    assert_snapshot!(with_target(r#""unix:app.sock""#), @r#"
error: "app.sock" is not an absolute path: a Unix target is written as in "unix:/run/app.sock"
 --> proxy.toml:4:23
  |
4 | action = { forward = ["unix:app.sock"] }
  |                       ^^^^^^^^^^^^^^^
"#);
}

#[test]
fn a_target_that_is_written_like_something_else() {
    assert_snapshot!(with_target(r#""http://127.0.0.1:1""#), @r#"
error: "http://127.0.0.1:1" is written like a URL, and a target is a host and a port alone
 --> proxy.toml:4:23
  |
4 | action = { forward = ["http://127.0.0.1:1"] }
  |                       ^^^^^^^^^^^^^^^^^^^^
  |
  = help: write "127.0.0.1:1"
"#);
    assert_snapshot!(with_target(r#""/run/app.sock""#), @r#"
error: "/run/app.sock" is a path
 --> proxy.toml:4:23
  |
4 | action = { forward = ["/run/app.sock"] }
  |                       ^^^^^^^^^^^^^^^
  |
  = help: write "unix:/run/app.sock" for the Unix socket there
"#);
    assert_snapshot!(with_target(r#""3000""#), @r#"
error: "3000" lacks a host
 --> proxy.toml:4:23
  |
4 | action = { forward = ["3000"] }
  |                       ^^^^^^
  |
  = help: write "127.0.0.1:3000"
"#);
}
