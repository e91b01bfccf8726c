//! What is said about `[log]`.

use std::path::PathBuf;

use insta::assert_snapshot;
use proxy_bin::config::{AccessTo, Keep, LogFormat, LogLevel};
use proxy_conn::Cause;

use crate::{ROUTE, before_route, good};

#[test]
fn lines_go_with_the_rest_unless_it_is_said_otherwise() {
    let log = good(ROUTE).log;
    assert_eq!((log.access, log.access_format, log.access_rules), (AccessTo::Stderr, None, vec![]));
}

#[test]
fn every_place_and_every_rule() {
    let to = |value: &str| good(&format!("[log]\naccess = {value}\n{ROUTE}")).log.access;
    assert_eq!(to("\"stdout\""), AccessTo::Stdout);
    assert_eq!(to("\"off\""), AccessTo::Off);
    assert_eq!(to("{ file = \"a.log\" }"), AccessTo::File(PathBuf::from("a.log")));
    let rules = "[[log.access_rules]]\ncauses = [\"finished\", \"idle\"]\nkeep = \"1/100\"\n[[log.access_rules]]\nroutes = [\"web\"]\nkeep = \"counted\"\n";
    let log = good(&format!("[log]\naccess_format = \"json\"\n{rules}{ROUTE}")).log;
    assert_eq!(
        (log.format, log.access_format, log.level),
        (LogFormat::Text, Some(LogFormat::Json), LogLevel::Info)
    );
    let [first, second] = log.access_rules.as_slice() else { panic!("there are two") };
    assert_eq!(first.causes.iter().map(|name| name.0).collect::<Vec<_>>(), [Cause::Finished, Cause::Idle]);
    assert_eq!((first.keep, second.keep), (Keep::OneOf(100.try_into().unwrap()), Keep::Counted));
}

#[test]
fn an_unknown_place() {
    assert_snapshot!(before_route("[log]\naccess = \"stdin\""), @r#"
error: unknown value `stdin`
 --> proxy.toml:2:10
  |
2 | access = "stdin"
  |          ^^^^^^^
  |
  = help: write "stderr", "stdout", "off" or { file = "/var/log/smartproxy/access.log" }
"#);
}

#[test]
fn a_file_without_a_path() {
    assert_snapshot!(before_route("[log]\naccess = \"file\""), @r#"
error: `file` needs a path
 --> proxy.toml:2:10
  |
2 | access = "file"
  |          ^^^^^^
  |
  = help: write "stderr", "stdout", "off" or { file = "/var/log/smartproxy/access.log" }
"#);
}

#[test]
fn a_path_that_names_no_file() {
    assert_snapshot!(before_route("[log]\naccess = { file = \"/\" }"), @r#"
error: expected "stderr", "stdout", "off" or { file = "/var/log/smartproxy/access.log" }
 --> proxy.toml:2:10
  |
2 | access = { file = "/" }
  |          ^^^^^^^^^^^^^^
"#);
}

#[test]
fn an_unknown_cause() {
    assert_snapshot!(before_route("[[log.access_rules]]\ncauses = [\"finish\"]\nkeep = \"none\""), @r#"
error: unknown value `finish`
 --> proxy.toml:2:10
  |
2 | causes = ["finish"]
  |          ^^^^^^^^^^ did you mean `finished`?
  |
  = help: the values here are `finished`, `client_left`, `client_reset`, `client_vanished`, `backend_reset`, `backend_vanished`, `client_truncated`, `backend_truncated`, `header_timeout`, `header_malformed`, `header_untrusted`, `asked`, `challenge`, `hello_timeout`, `hello_unreadable`, `tls_timeout`, `tls_failed`, `no_route`, `route_refused`, `global_limit`, `unrouted_limit`, `pool_limit`, `listener_limit`, `route_limit`, `client_limit`, `client_rate`, `client_table`, `queue_full`, `queue_timeout`, `shed`, `targets_down`, `target_limit`, `dial_refused`, `dial_unreachable`, `dial_timeout`, `dial_reset`, `dial_unresolved`, `dial_shortage`, `dial_egress`, `dial_failed`, `backend_tls`, `request_timeout`, `request_malformed`, `backend_malformed`, `backend_timeout`, `idle`, `no_data`, `half_closed`, `write_stall`, `lifetime`, `member_down`, `shutdown`, `killed`, `draining`, `drained`, `overload`, `call_failed`, `overdue`, `panicked`, `aborted`, `illegal_transition`
"#);
}

#[test]
fn an_impossible_part() {
    assert_snapshot!(before_route("[[log.access_rules]]\nkeep = \"1/0\""), @r#"
error: expected "all", "none", "counted" or a part such as "1/100", found `1/0`
 --> proxy.toml:2:8
  |
2 | keep = "1/0"
  |        ^^^^^
"#);
}

#[test]
fn a_rule_that_says_nothing() {
    assert_snapshot!(before_route("[[log.access_rules]]\ncauses = [\"idle\"]"), @"
error: missing key `keep`
 --> proxy.toml:1:1
  |
1 | [[log.access_rules]]
  | ^^^^^^^^^^^^^^^^^^^^ `keep` has to be set here
");
}

#[test]
fn a_rule_for_a_route_that_is_not_there() {
    assert_snapshot!(before_route("[[log.access_rules]]\nroutes = [\"web\", \"wep\"]\nkeep = \"none\""), @r#"
error: there is no route "wep"
 --> proxy.toml:2:18
  |
2 | routes = ["web", "wep"]
  |                  ^^^^^ did you mean "web"?
"#);
}

#[test]
fn a_rule_that_nothing_comes_to() {
    let rules =
        "[[log.access_rules]]\nkeep = \"all\"\n[[log.access_rules]]\ncauses = [\"idle\"]\nkeep = \"none\"\n";
    let config = good(&format!("{rules}{ROUTE}"));
    assert_snapshot!(config.warnings.render(proxy_bin::config::Ink::Plain), @r#"
warning: no connection comes to this rule
 --> proxy.toml:3:1
  |
1 | [[log.access_rules]]
  | -------------------- this one fits every connection
2 | keep = "all"
3 | [[log.access_rules]]
  | ^^^^^^^^^^^^^^^^^^^^ this has no effect
"#);
}
