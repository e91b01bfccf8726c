//! `[limits]`: what may be written, what it becomes, and limits that do not do what they seem to.

use insta::assert_snapshot;
use proxy_bin::config::{AtLimit, Ink};
use proxy_conn::QueueLimits;
use proxy_core::Bound;

use crate::{ROUTE, before_route, good, refusal};

fn limits(text: &str) -> proxy_bin::config::Config {
    good(&format!("[limits]\n{text}\n{ROUTE}"))
}

fn warnings(text: &str) -> String {
    good(text).warnings.render(Ink::Plain)
}

#[test]
fn clients_are_limited_unless_somebody_switches_that_off() {
    let clients = good(ROUTE).settings.clients.unwrap();
    assert_eq!(clients.connections_per_client.get(), 100);
    assert_eq!(clients.connections_per_client_per_minute.get(), 300);
    assert_eq!((clients.ipv6_prefix.bits(), clients.client_table_capacity.get()), (64, 65536));
    let off = "connections_per_client = \"off\"\nconnections_per_client_per_minute = \"off\"";
    assert!(limits(off).settings.clients.is_none());
    let clients = limits("connections_per_client = 7\nconnections_per_client_per_minute = \"off\"")
        .settings
        .clients
        .unwrap();
    assert_eq!(clients.connections_per_client.get(), 7);
    assert_eq!(clients.connections_per_client_per_minute.get(), u32::MAX, "as good as none");
    let clients = limits("connections_per_client = \"off\"\nipv6_prefix = 56").settings.clients.unwrap();
    assert_eq!((clients.connections_per_client.get(), clients.ipv6_prefix.bits()), (u32::MAX, 56));
}

#[test]
fn the_table_of_clients_has_room_for_all_connections_unless_somebody_says_less() {
    let capacity = |text: &str| limits(text).settings.clients.unwrap().client_table_capacity.get();
    assert_eq!(capacity("connections_per_client = 1\nmax_connections = 10"), 65536);
    assert_eq!(capacity("connections_per_client = 1\nmax_connections = 70000"), 70000);
    assert_eq!(capacity("connections_per_client = 1\nmax_connections = 10\ntracked_clients = 10"), 10);
}

#[test]
fn a_table_of_clients_that_is_full_too_soon() {
    let text = "[limits]\nmax_connections = 1000\nconnections_per_client = 100\ntracked_clients = ";
    assert_snapshot!(warnings(&format!("{text}1000\n{ROUTE}")), @"");
    assert_snapshot!(warnings(&format!("{text}999\n{ROUTE}")), @"
warning: only 999 clients can be counted, and 1000 connections may be open
 --> proxy.toml:4:19
  |
2 | max_connections = 1000
  |                   ---- each may be of another client
3 | connections_per_client = 100
4 | tracked_clients = 999
  |                   ^^^
  |
  = help: once 999 clients have connections, others are turned away: leave `tracked_clients` out, and there is room for all
");
}

#[test]
fn settings_of_clients_that_are_not_counted() {
    assert_snapshot!(warnings(&format!(
        "[limits]\nipv6_prefix = 56\ntracked_clients = 9\nconnections_per_client = \"off\"\nconnections_per_client_per_minute = \"off\"\n{ROUTE}"
    )), @"
warning: `ipv6_prefix` has no effect
 --> proxy.toml:2:15
  |
2 | ipv6_prefix = 56
  |               ^^ clients are not counted
  |
  = help: it needs `connections_per_client` or `connections_per_client_per_minute`

warning: `tracked_clients` has no effect
 --> proxy.toml:3:19
  |
3 | tracked_clients = 9
  |                   ^ clients are not counted
  |
  = help: it needs `connections_per_client` or `connections_per_client_per_minute`
");
}

#[test]
fn a_part_that_may_be_larger_than_the_whole() {
    let file = |whole| {
        format!(
            r#"
limits.max_connections = {whole}

[pools.chain]
max_connections = 2000

[[listeners]]
max_connections = 2000
{ROUTE}
max_connections = 2000
max_connections_per_target = 2000
"#
        )
    };
    assert_snapshot!(warnings(&file(2000)), @"");
    assert_snapshot!(warnings(&file(1999)), @r#"
warning: the limit of pool "chain" is never met
 --> proxy.toml:5:19
  |
2 | limits.max_connections = 1999
  |                          ---- the whole proxy takes 1999
...
5 | max_connections = 2000
  |                   ^^^^ 2000 are more than all together may be

warning: the limit of a listener is never met
 --> proxy.toml:8:19
  |
2 | limits.max_connections = 1999
  |                          ---- the whole proxy takes 1999
...
8 | max_connections = 2000
  |                   ^^^^ 2000 are more than all together may be

warning: the limit of route "web" is never met
  --> proxy.toml:15:19
   |
 2 | limits.max_connections = 1999
   |                          ---- the whole proxy takes 1999
...
15 | max_connections = 2000
   |                   ^^^^ 2000 are more than all together may be

warning: the limit of each backend of route "web" is never met
  --> proxy.toml:16:30
   |
 2 | limits.max_connections = 1999
   |                          ---- the whole proxy takes 1999
...
16 | max_connections_per_target = 2000
   |                              ^^^^ 2000 are more than all together may be
"#);
}

#[test]
fn what_happens_at_a_limit_is_said_by_the_nearest() {
    let config = good(&format!(
        r#"
[limits]
at_limit = "close"
[pools.chain]
at_limit = "reject"
{ROUTE}
at_limit = {{ queue = {{ most_waiting = 100, longest_wait = "5s" }} }}
[[routes]]
name = "plain"
match = {{ ports = [8081] }}
action = "refuse"
"#
    ));
    let queue = AtLimit::Queue(QueueLimits::new(100, Bound::secs(5)));
    assert_eq!(
        [config.settings.pools[0].at_limit, config.settings.pools[1].at_limit],
        [AtLimit::Close, AtLimit::Reject]
    );
    assert_eq!(config.settings.routes.route(0).unwrap().payload.at_limit, queue);
    assert_eq!(config.settings.routes.route(1).unwrap().payload.at_limit, AtLimit::Close);
    assert_eq!(config.settings.listeners[0].at_limit, AtLimit::Close);
    assert_eq!(good(ROUTE).limits.at_limit, AtLimit::Reject);
}

#[test]
fn a_limit_of_a_listener_is_each_sockets() {
    let config =
        good(&format!("[[listeners]]\nbind = [\"127.0.0.1\", \"::1\"]\nmax_connections = 9\n{ROUTE}"));
    let limits: Vec<_> =
        config.settings.listeners.iter().map(|one| one.max_connections.unwrap().get()).collect();
    assert_eq!(limits, [9, 9]);
}

#[test]
fn numbers_that_can_be_off() {
    assert_snapshot!(before_route("[limits]\nconnections_per_client = 0"), @r#"
error: expected a whole number from 1 to 4294967295, or "off"
 --> proxy.toml:2:26
  |
2 | connections_per_client = 0
  |                          ^ this is the number 0
"#);
    assert_snapshot!(before_route("[limits]\nconnections_per_client = \"none\""), @r#"
error: expected a whole number from 1 to 4294967295, or "off"
 --> proxy.toml:2:26
  |
2 | connections_per_client = "none"
  |                          ^^^^^^ this is a string
"#);
    assert_snapshot!(before_route("[limits]\nconnections_per_client_per_minute = 4294967296"), @r#"
error: expected a whole number from 1 to 4294967295, or "off"
 --> proxy.toml:2:37
  |
2 | connections_per_client_per_minute = 4294967296
  |                                     ^^^^^^^^^^ this is the number 4294967296
"#);
    limits("connections_per_client = 4294967295");
}

#[test]
fn networks_of_ipv6_clients() {
    limits("connections_per_client = 1\nipv6_prefix = 32");
    limits("connections_per_client = 1\nipv6_prefix = 128");
    assert_snapshot!(before_route("[limits]\nipv6_prefix = 31"), @"
error: expected an IPv6 prefix from 32 to 128 bits, found 31
 --> proxy.toml:2:15
  |
2 | ipv6_prefix = 31
  |               ^^
");
    assert_snapshot!(before_route("[limits]\nipv6_prefix = \"/64\""), @r#"
error: expected a whole number
 --> proxy.toml:2:15
  |
2 | ipv6_prefix = "/64"
  |               ^^^^^ this is a string
"#);
}

#[test]
fn memory() {
    let bytes = |text: &str| limits(&format!("max_memory = \"{text}\"")).limits.max_memory.unwrap().bytes();
    assert_eq!(
        [bytes("16MiB"), bytes("2GiB"), bytes("1024GiB"), bytes("1TiB")],
        [16 << 20, 2 << 30, 1 << 40, 1 << 40]
    );
    assert_snapshot!(before_route("[limits]\nmax_memory = \"15MiB\""), @r#"
error: expected a size from 16MiB to 1TiB, found 15MiB
 --> proxy.toml:2:14
  |
2 | max_memory = "15MiB"
  |              ^^^^^^^
"#);
    assert_snapshot!(before_route("[limits]\nmax_memory = \"1025GiB\""), @r#"
error: expected a size from 16MiB to 1TiB, found 1025GiB
 --> proxy.toml:2:14
  |
2 | max_memory = "1025GiB"
  |              ^^^^^^^^^
"#);
    assert_snapshot!(before_route("[limits]\nmax_memory = \"99999999999999999999TiB\""), @r#"
error: expected a size from 16MiB to 1TiB, found 99999999999999999999TiB
 --> proxy.toml:2:14
  |
2 | max_memory = "99999999999999999999TiB"
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^
"#);
    assert_snapshot!(before_route("[limits]\nmax_memory = \"2GB\""), @r#"
error: expected a size in MiB, GiB or TiB (powers of 1024) such as "512MiB" or "2GiB", found `2GB`
 --> proxy.toml:2:14
  |
2 | max_memory = "2GB"
  |              ^^^^^
"#);
    assert_snapshot!(before_route("[limits]\nmax_memory = \"GiB\""), @r#"
error: expected a size in MiB, GiB or TiB (powers of 1024) such as "512MiB" or "2GiB", found `GiB`
 --> proxy.toml:2:14
  |
2 | max_memory = "GiB"
  |              ^^^^^
"#);
    assert_snapshot!(before_route("[limits]\nmax_memory = 2147483648"), @r#"
error: expected a size such as "512MiB" or "2GiB"
 --> proxy.toml:2:14
  |
2 | max_memory = 2147483648
  |              ^^^^^^^^^^ this is the number 2147483648
"#);
}

#[test]
fn queues() {
    let queue = |inside: &str| before_route(&format!("[limits]\nat_limit = {{ queue = {inside} }}"));
    limits("at_limit = { queue = { most_waiting = 1, longest_wait = \"1ms\" } }");
    assert_snapshot!(queue("{ most_waiting = 0, longest_wait = \"5s\" }"), @r#"
error: expected a whole number from 1 to 1048576
 --> proxy.toml:2:39
  |
2 | at_limit = { queue = { most_waiting = 0, longest_wait = "5s" } }
  |                                       ^ this is the number 0
"#);
    assert_snapshot!(queue("{ most_waiting = 100 }"), @"
error: missing key `longest_wait`
 --> proxy.toml:2:22
  |
2 | at_limit = { queue = { most_waiting = 100 } }
  |                      ^^^^^^^^^^^^^^^^^^^^^^ `longest_wait` has to be set here
");
    assert_snapshot!(queue("{ most_waiting = 100, longest_wait = \"0s\" }"), @r#"
error: a duration must be at least 1ms: every phase has a deadline, and zero is not one
 --> proxy.toml:2:59
  |
2 | at_limit = { queue = { most_waiting = 100, longest_wait = "0s" } }
  |                                                           ^^^^
"#);
    assert_snapshot!(queue("{ waiting = 100, longest_wait = \"5s\" }"), @r#"
error: missing key `most_waiting`
 --> proxy.toml:2:22
  |
2 | at_limit = { queue = { waiting = 100, longest_wait = "5s" } }
  |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `most_waiting` has to be set here

error: unknown key `waiting`
 --> proxy.toml:2:24
  |
2 | at_limit = { queue = { waiting = 100, longest_wait = "5s" } }
  |                        ^^^^^^^ not a key that is known here
  |
  = help: the keys here are `most_waiting`, `longest_wait`
"#);
    assert_snapshot!(queue("[100, \"5s\"]"), @r#"
error: expected a table
 --> proxy.toml:2:22
  |
2 | at_limit = { queue = [100, "5s"] }
  |                      ^^^^^^^^^^^ this is a list
"#);
}

#[test]
fn words_at_a_limit() {
    assert_snapshot!(before_route("[limits]\nat_limit = \"queue\""), @r#"
error: `queue` needs a table
 --> proxy.toml:2:12
  |
2 | at_limit = "queue"
  |            ^^^^^^^
  |
  = help: write "reject", "close" or { queue = { most_waiting = 100, longest_wait = "5s" } }
"#);
    assert_snapshot!(before_route("[limits]\nat_limit = \"rejected\""), @r#"
error: unknown value `rejected`, perhaps `reject`
 --> proxy.toml:2:12
  |
2 | at_limit = "rejected"
  |            ^^^^^^^^^^
  |
  = help: write "reject", "close" or { queue = { most_waiting = 100, longest_wait = "5s" } }
"#);
    assert_snapshot!(before_route("[limits]\nat_limit = { wait = { most_waiting = 1 } }"), @"
error: unknown key `wait`
 --> proxy.toml:2:14
  |
2 | at_limit = { wait = { most_waiting = 1 } }
  |              ^^^^ not a key that is known here
  |
  = help: the only key here is `queue`
");
    assert_snapshot!(before_route("[limits]\nat_limit = 100"), @r#"
error: expected "reject", "close" or { queue = { most_waiting = 100, longest_wait = "5s" } }
 --> proxy.toml:2:12
  |
2 | at_limit = 100
  |            ^^^ this is the number 100
"#);
}

#[test]
fn keys_of_the_audit_are_refused_like_others() {
    assert_snapshot!(before_route("[audit]\nintervall = \"30s\""), @r#"
error: unknown key `intervall`
 --> proxy.toml:2:1
  |
2 | intervall = "30s"
  | ^^^^^^^^^ did you mean `interval`?
  |
  = help: the keys here are `interval`, `grace`, `overdue_tick`, `stuck_after`, `second_look`
"#);
}

#[test]
fn limits_of_parts_start_at_one() {
    assert_snapshot!(refusal(&format!(
        "[pools.chain]\nmax_connections = 0\n{ROUTE}max_connections = 0\nmax_connections_per_target = 0\n"
    )), @"
error: expected a whole number from 1 to 4294967295
 --> proxy.toml:2:19
  |
2 | max_connections = 0
  |                   ^ this is the number 0

error: expected a whole number from 1 to 4294967295
 --> proxy.toml:8:19
  |
8 | max_connections = 0
  |                   ^ this is the number 0

error: expected a whole number from 1 to 4294967295
 --> proxy.toml:9:30
  |
9 | max_connections_per_target = 0
  |                              ^ this is the number 0
");
}
