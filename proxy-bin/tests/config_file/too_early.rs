//! Deadlines in a route or a pool whose phases are over before the route or the pool is known.

use insta::assert_snapshot;

use crate::{ROUTE, before_route, good, in_route};

#[test]
fn in_a_route() {
    assert_snapshot!(in_route("timeouts = { connection_timeout = \"5s\", initial_data_timeout = \"5s\" }"), @r#"
error: `initial_data_timeout` has no effect in a route
 --> proxy.toml:6:41
  |
6 | timeouts = { connection_timeout = "5s", initial_data_timeout = "5s" }
  |                                         ^^^^^^^^^^^^^^^^^^^^
  |
  = help: these phases end before the route is known: set it in `[timeouts]`
"#);
    assert_snapshot!(in_route("[routes.timeouts]\nproxy_header_timeout = \"5s\"\ninitial_data_timeout = \"5s\""), @r#"
error: `proxy_header_timeout` has no effect in a route
 --> proxy.toml:7:1
  |
7 | proxy_header_timeout = "5s"
  | ^^^^^^^^^^^^^^^^^^^^
  |
  = help: these phases end before the route is known: set it in `[timeouts]`

error: `initial_data_timeout` has no effect in a route
 --> proxy.toml:8:1
  |
8 | initial_data_timeout = "5s"
  | ^^^^^^^^^^^^^^^^^^^^
  |
  = help: these phases end before the route is known: set it in `[timeouts]`
"#);
}

#[test]
fn in_a_pool() {
    assert_snapshot!(before_route("[pools.chain]\ntimeouts.proxy_header_timeout = \"5s\""), @r#"
error: `proxy_header_timeout` has no effect in a pool
 --> proxy.toml:2:10
  |
2 | timeouts.proxy_header_timeout = "5s"
  |          ^^^^^^^^^^^^^^^^^^^^
  |
  = help: these phases end before the pool is known: set it in `[timeouts]`
"#);
}

#[test]
fn not_for_all() {
    good(&format!("[timeouts]\nproxy_header_timeout = \"5s\"\ninitial_data_timeout = \"5s\"\n{ROUTE}"));
}
