//! `[admin]`: what may be written, what it becomes, and an API that would be open to anybody.

use std::path::Path;

use insta::assert_snapshot;

use crate::{ROUTE, before_route, good};

fn admin(text: &str) -> proxy_bin::config::Admin {
    good(&format!("[admin]\n{text}\n{ROUTE}")).admin.unwrap()
}

fn refused(text: &str) -> String {
    before_route(&format!("[admin]\n{text}\n"))
}

#[test]
fn without_the_table_there_is_none() {
    assert!(good(ROUTE).admin.is_none());
}

#[test]
fn a_socket_is_for_its_owner_unless_somebody_says_otherwise() {
    let socket = admin("socket = \"/run/admin.sock\"");
    assert_eq!(
        (socket.socket.unwrap().as_path(), socket.socket_mode.bits()),
        (Path::new("/run/admin.sock"), 0o600)
    );
    assert_eq!(admin("socket = \"/run/a.sock\"\nsocket_mode = \"660\"").socket_mode.bits(), 0o660);
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    for loopback in ["127.0.0.1:9000", "127.9.9.9:1", "[::1]:9000", "[::ffff:127.0.0.1]:9000", "127.0.0.1:0"]
    {
        assert!(admin(&format!("listen = \"{loopback}\"")).listen.unwrap().is_loopback());
    }
    for other in ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000"] {
        assert!(refused(&format!("listen = \"{other}\"")).contains("needs a token"));
        let with = admin(&format!("listen = \"{other}\"\ntoken_file = \"/etc/token\""));
        assert_eq!(with.token_file.unwrap().as_path(), Path::new("/etc/token"));
    }
    assert_snapshot!(refused("listen = \"0.0.0.0:9000\""), @r#"
error: an admin API that other machines can reach needs a token
 --> proxy.toml:2:10
  |
2 | listen = "0.0.0.0:9000"
  |          ^^^^^^^^^^^^^^ this is not a loopback address
  |
  = help: set `token_file`, or listen on 127.0.0.1 or [::1]
"#);
}

#[test]
fn what_has_no_effect_is_refused() {
    assert_snapshot!(refused("name = \"outer\""), @r#"
error: the admin API has neither a socket nor an address
 --> proxy.toml:1:1
  |
1 | [admin]
  | ^^^^^^^ `socket`, `listen` or both have to be set here
  |
  = help: write socket = "/run/smartproxy/admin.sock"
"#);
    assert_snapshot!(refused("socket = \"/run/a.sock\"\ntoken_file = \"/etc/token\""), @r#"
error: `token_file` needs `listen`
 --> proxy.toml:3:14
  |
3 | token_file = "/etc/token"
  |              ^^^^^^^^^^^^ this has no effect
"#);
    assert_snapshot!(refused("listen = \"127.0.0.1:9000\"\nsocket_mode = \"0600\""), @r#"
error: `socket_mode` needs `socket`
 --> proxy.toml:3:15
  |
3 | socket_mode = "0600"
  |               ^^^^^^ this has no effect
"#);
}

#[test]
fn values_that_can_not_be() {
    assert_snapshot!(refused("socket = \"admin.sock\""), @r#"
error: expected the absolute path of a socket, found "admin.sock"
 --> proxy.toml:2:10
  |
2 | socket = "admin.sock"
  |          ^^^^^^^^^^^^
  |
  = help: write one such as "/run/smartproxy/admin.sock"
"#);
    assert_snapshot!(refused(&format!("socket = \"/{}\"", "x".repeat(99))), @r#"
error: the path of the admin socket has at most 99 bytes, this one has 100
 --> proxy.toml:2:10
  |
2 | socket = "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#);
    assert_snapshot!(refused("socket = \"/run/a.sock\"\nsocket_mode = \"0060\""), @r#"
error: the owner of the admin socket has to be able to use it, and nobody can execute it, found "0060"
 --> proxy.toml:3:15
  |
3 | socket_mode = "0060"
  |               ^^^^^^
  |
  = help: write "0600", "0660" or "0666"
"#);
    assert_snapshot!(refused("socket = \"/run/a.sock\"\nsocket_mode = 600"), @r#"
error: expected a mode such as "0600"
 --> proxy.toml:3:15
  |
3 | socket_mode = 600
  |               ^^^ this is the number 600
"#);
    assert_snapshot!(refused("listen = \"9000\""), @r#"
error: expected an address and a port, found "9000"
 --> proxy.toml:2:10
  |
2 | listen = "9000"
  |          ^^^^^^
  |
  = help: write one such as "127.0.0.1:9000" or "[::1]:9000"
"#);
    assert_snapshot!(refused("name = \"\"\nlisten = \"127.0.0.1:9000\""), @r#"
error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:2:8
  |
2 | name = ""
  |        ^^
"#);
    assert_snapshot!(refused("sokket = \"/run/a.sock\""), @r#"
    error: unknown key `sokket`
     --> proxy.toml:2:1
      |
    2 | sokket = "/run/a.sock"
      | ^^^^^^ did you mean `socket`?
      |
      = help: the keys here are `name`, `socket`, `socket_mode`, `listen`, `token_file`, `hops`
    "#);
}

#[test]
fn a_bad_socket_hides_no_missing_token() {
    let errors = before_route("[admin]\nlisten = \"0.0.0.0:9000\"\nsocket = \"admin.sock\"\n");
    assert!(errors.contains("expected the absolute path of a socket"), "{errors}");
    assert!(errors.contains("an admin API that other machines can reach needs a token"), "{errors}");
    let errors = before_route("[admin]\nlisten = \"0.0.0.0:9000\"\ntoken_file = \"\"\n");
    assert!(!errors.contains("needs a token"), "it has one, which is wrong: {errors}");
}

#[test]
fn other_hops_are_sockets_and_addresses_in_order_each_with_a_token_if_it_wants_one() {
    let hops = "hops = [\"/run/inner/admin.sock\", \"10.0.0.2:9000\", { at = \"hop.example:9000\", token_file = \"/etc/t\" }]";
    let admin = admin(&format!("socket = \"/run/a.sock\"\n{hops}"));
    let told: Vec<_> = admin.hops.iter().map(|hop| (hop.at.to_string(), hop.token_file.is_some())).collect();
    let expected = [
        ("/run/inner/admin.sock", false),
        ("http://10.0.0.2:9000", false),
        ("http://hop.example:9000", true),
    ];
    assert_eq!(told, expected.map(|(at, token)| (at.to_owned(), token)));
}

#[test]
fn hops_that_can_not_be() {
    let with = |hops: &str| refused(&format!("socket = \"/run/a.sock\"\nhops = [{hops}]"));
    assert_snapshot!(with("\"inner.sock\""), @r#"
    error: expected the absolute path of a socket, found "inner.sock"
     --> proxy.toml:3:9
      |
    3 | hops = ["inner.sock"]
      |         ^^^^^^^^^^^^
      |
      = help: write one such as "/run/smartproxy/admin.sock"
    "#);
    assert_snapshot!(with("\"https://10.0.0.2:9000\""), @r#"
    error: the admin API does not speak TLS: use its socket, or http:// through a tunnel (ssh -L)
     --> proxy.toml:3:9
      |
    3 | hops = ["https://10.0.0.2:9000"]
      |         ^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(with("{ at = \"/run/b.sock\", token = \"x\" }"), @r#"
    error: unknown key `token`
     --> proxy.toml:3:31
      |
    3 | hops = [{ at = "/run/b.sock", token = "x" }]
      |                               ^^^^^ did you mean `token_file`?
      |
      = help: the keys here are `at`, `token_file`
    "#);
    assert_snapshot!(with("\"/run/b.sock\", \"/run/a.sock\""), @r#"
    error: this is the proxy's own socket: `hops` names the others, and this one comes before them
     --> proxy.toml:3:24
      |
    3 | hops = ["/run/b.sock", "/run/a.sock"]
      |                        ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(with("\"/run/b.sock\", \"/run/b.sock\""), @r#"
    error: /run/b.sock is among the hops already
     --> proxy.toml:3:24
      |
    3 | hops = ["/run/b.sock", "/run/b.sock"]
      |                        ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(with("{ at = \"/run/b.sock\", token_file = \"/etc/t\" }"), @r#"
    error: a hop that is asked over its socket wants no token
     --> proxy.toml:3:44
      |
    3 | hops = [{ at = "/run/b.sock", token_file = "/etc/t" }]
      |                                            ^^^^^^^^ this has no effect
    "#);
    let many = |count: u32| {
        let hops: Vec<_> = (1..=count).map(|n| format!("\"10.0.0.{n}:9000\"")).collect();
        format!("[admin]\nsocket = \"/run/a.sock\"\nhops = [{}]\n", hops.join(", "))
    };
    assert_eq!(good(&format!("{}{ROUTE}", many(15))).admin.unwrap().hops.len(), 15);
    assert!(before_route(&many(16)).contains("a chain has at most 15 hops beside this one"));
}
