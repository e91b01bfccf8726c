//! The configuration file from the outside: what is refused and how that reads, and what a good file becomes.
//!
//! Every error has its picture here, because the picture is what an operator gets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed assumption of a test is its failure")]

mod acme;
mod admin;
mod balancing;
mod breakers;
mod chains;
mod checks;
mod congestion;
mod egress;
mod examples;
mod groups;
mod headers;
mod hops;
mod kernel;
mod limits;
mod listeners;
mod loading;
mod logs;
mod loops;
mod missing_keys;
mod mutations;
mod places;
mod pools;
mod process;
mod resolved;
mod routes;
mod schema;
mod several_at_once;
mod start;
mod syntax;
mod tls;
mod too_early;
mod unknown_keys;
mod warnings;
mod wrong_table;
mod wrong_targets;
mod wrong_types;
mod wrong_values;

use proxy_bin::config::{Config, Ink};

/// A route with which a file is valid.
const ROUTE: &str = r#"
[[routes]]
name = "web"
match = { ports = [8080] }
action = { forward = ["127.0.0.1:3000"] }
"#;

fn good(text: &str) -> Config {
    Config::parse(text, "proxy.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

/// Why a file is refused.
fn refusal(text: &str) -> String {
    let errors = Config::parse(text, "proxy.toml").expect_err("it is wrong");
    assert!(!errors.findings().is_empty());
    errors.render(Ink::Plain)
}

/// Why a file is refused that has this text before a good route.
fn before_route(text: &str) -> String {
    refusal(&format!("{text}{ROUTE}"))
}

/// Why a file is refused whose good route goes on with this text.
fn in_route(text: &str) -> String {
    refusal(&format!("{ROUTE}{text}"))
}
