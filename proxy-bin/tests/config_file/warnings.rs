//! What is allowed and probably not meant.

use insta::assert_snapshot;
use proxy_bin::config::Ink;

use crate::{ROUTE, good};

#[test]
fn a_route_that_never_matches() {
    let config = good(
        r#"
[[routes]]
name = "high"
priority = 2
match = { ports = [8080] }
action = "refuse"

[[routes]]
name = "higher"
priority = 3
match = { ports = [8081] }
action = "refuse"

[[routes]]
name = "dead"
match = { ports = ["8080-8081"], domains = ["a.com"] }
action = "refuse"
"#,
    );
    assert_snapshot!(config.warnings.render(Ink::Plain), @r#"
warning: route "dead" never matches
  --> proxy.toml:16:9
   |
 5 | match = { ports = [8080] }
   |         ------------------ "high" takes it
...
11 | match = { ports = [8081] }
   |         ------------------ "higher" takes it
...
16 | match = { ports = ["8080-8081"], domains = ["a.com"] }
   |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ all of this is taken by routes of higher priority
   |
   = help: give it a higher priority, narrow the other routes, or remove it
"#);
}

#[test]
fn none_for_a_good_file() {
    assert!(good(ROUTE).warnings.is_empty());
}

#[test]
fn colour_only_when_asked_for() {
    let errors = proxy_bin::config::Config::parse("worker = 1", "proxy.toml").unwrap_err();
    assert!(errors.render(Ink::Colour).contains('\u{1b}'));
    assert!(!errors.render(Ink::Plain).contains('\u{1b}'));
}
