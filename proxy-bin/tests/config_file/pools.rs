//! Pools: which one a connection is in, the deadlines it has there, and pools that contradict themselves.

use std::fmt::Write as _;

use insta::assert_snapshot;
use proxy_bin::config::{Config, Ink, PoolConfig};
use proxy_conn::{Deadlines, Percent};
use proxy_core::Bound;

use crate::{ROUTE, before_route, good, in_route, refusal};

/// The pools of each route: of a connection without a PROXY header, and of one with.
fn picture(config: &Config) -> String {
    let name = |place: usize| config.settings.pools.get(place).map_or("none", |pool| &*pool.name);
    let of_route = |route: proxy_route::Matched<'_, proxy_bin::config::RouteConfig>| {
        let pools = [false, true].map(|chained| name(route.payload.pool(chained).place.index()));
        format!("{}: {}", route.name(), pools.join(", with a header "))
    };
    config.settings.routes.routes().map(of_route).collect::<Vec<_>>().join("\n")
}

/// The three deadlines that are built into the pool `chain`, in seconds.
fn three(deadlines: &Deadlines) -> [u64; 3] {
    [deadlines.connection_timeout, deadlines.inactivity_timeout, deadlines.half_closed_timeout]
        .map(|bound| bound.get().as_secs())
}

fn of_first(text: &str, chained: bool) -> [u64; 3] {
    three(&good(text).settings.routes.route(0).unwrap().payload.pool(chained).deadlines)
}

#[test]
fn a_header_makes_the_difference_unless_the_route_names_a_pool() {
    let config = good(
        r#"
[pools.bulk]

[[routes]]
name = "plain"
match = { ports = [1] }
action = { forward = ["127.0.0.1:80"] }

[[routes]]
name = "sends"
match = { ports = [2] }
action = { forward = ["127.0.0.1:80"] }
send_proxy = "v1"

[[routes]]
name = "named"
match = { ports = [3] }
action = { forward = ["127.0.0.1:80"] }
send_proxy = "v2"
pool = "bulk"

[[routes]]
name = "named as built in"
match = { ports = [4] }
action = { forward = ["127.0.0.1:80"] }
send_proxy = "v2"
pool = "direct"
"#,
    );
    assert_snapshot!(picture(&config), @"
plain: direct, with a header chain
sends: chain, with a header chain
named: bulk, with a header bulk
named as built in: direct, with a header direct
");
    assert!(config.warnings.is_empty());
}

#[test]
fn two_pools_are_always_there_and_the_others_follow_by_name() {
    let names =
        |config: Config| config.settings.pools.iter().map(|pool| pool.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(good(ROUTE)), ["direct", "chain"]);
    let text = format!("[pools]\nzoo = {{}}\nchain = {{}}\nant = {{}}\n{ROUTE}");
    assert_eq!(names(good(&text)), ["direct", "chain", "ant", "zoo"]);
    assert_eq!((PoolConfig::DIRECT.index(), PoolConfig::CHAIN.index()), (0, 1));
}

#[test]
fn a_pool_says_what_is_different() {
    let config = good(&format!(
        "[pools.chain]\nmax_connections = 2000\noverload = {{ connections_tight = 70 }}\n{ROUTE}"
    ));
    let [direct, chain] = config.settings.pools.as_slice() else { panic!("two pools") };
    assert!(direct.max_connections.is_none());
    assert_eq!(chain.max_connections.unwrap().get(), 2000);
    assert_eq!(direct.overload.connections_tight, Percent::new(80));
    assert_eq!(chain.overload.connections_tight, Percent::new(70));
    assert_eq!(chain.overload.connections_shed, Percent::new(95));
}

#[test]
fn what_is_built_in_never_beats_what_somebody_wrote() {
    assert_eq!(of_first(ROUTE, false), [30, 3600, 30]);
    assert_eq!(of_first(ROUTE, true), [10, 600, 10], "built into the pool");
    let whole = format!("[timeouts]\nconnection_timeout = \"20s\"\nhalf_closed_timeout = \"21s\"\n{ROUTE}");
    assert_eq!(of_first(&whole, false), [20, 3600, 21]);
    assert_eq!(of_first(&whole, true), [20, 600, 21], "written for all, over what is built in");
    let pool = format!("[pools.chain]\ntimeouts = {{ connection_timeout = \"5s\" }}\n{whole}");
    assert_eq!(of_first(&pool, false), [20, 3600, 21]);
    assert_eq!(of_first(&pool, true), [5, 600, 21], "written for the pool, over both");
    let route = format!("{pool}timeouts = {{ connection_timeout = \"4s\", inactivity_timeout = \"9s\" }}\n");
    assert_eq!(of_first(&route, false), [4, 9, 21], "written for the route, over all");
    assert_eq!(of_first(&route, true), [4, 9, 21]);
}

#[test]
fn a_pool_of_another_name_has_nothing_built_in() {
    let text = format!(
        "[pools.bulk]\ntimeouts.half_closed_timeout = \"7s\"\n{ROUTE}pool = \"bulk\"\nsend_proxy = \"v1\"\n"
    );
    assert_eq!([of_first(&text, false), of_first(&text, true)], [[30, 3600, 7]; 2]);
}

#[test]
fn the_deadlines_of_a_route_are_those_without_a_received_header() {
    let of = |text: &str| three(&good(text).settings.routes.route(0).unwrap().payload.deadlines);
    assert_eq!(of(ROUTE), [30, 3600, 30]);
    assert_eq!(of(&format!("{ROUTE}send_proxy = \"v1\"\n")), [10, 600, 10]);
    assert_eq!(good(ROUTE).settings.deadlines.connection_timeout, Bound::secs(30));
}

#[test]
fn a_pool_that_is_not_there() {
    assert_snapshot!(in_route("pool = \"chian\""), @r#"
error: there is no pool "chian"
 --> proxy.toml:6:8
  |
6 | pool = "chian"
  |        ^^^^^^^ did you mean "chain"?
  |
  = help: the pools are "direct", "chain"; a table in [pools] makes another one
"#);
    assert_snapshot!(refusal(&format!("[pools.bulk]\n{ROUTE}pool = \"backup\"\n")), @r#"
error: there is no pool "backup"
 --> proxy.toml:7:8
  |
7 | pool = "backup"
  |        ^^^^^^^^
  |
  = help: the pools are "direct", "chain", "bulk"; a table in [pools] makes another one
"#);
}

#[test]
fn a_pool_that_was_found_wrong_is_not_missed() {
    assert_snapshot!(refusal(&format!("pools = 3\n{ROUTE}pool = \"bulk\"\n")), @"
error: expected a table
 --> proxy.toml:1:9
  |
1 | pools = 3
  |         ^ this is the number 3
");
    assert_snapshot!(refusal(&format!("[pools]\nbulk = 3\n{ROUTE}pool = \"bulk\"\n")), @"
error: expected a table
 --> proxy.toml:2:8
  |
2 | bulk = 3
  |        ^ this is the number 3
");
}

#[test]
fn a_pool_with_something_wrong_in_it_is_there_nevertheless() {
    let text = format!("[pools.bulk]\nmax = 3\n{ROUTE}pool = ");
    assert!(!refusal(&format!("{text}\"bulk\"")).contains("there is no pool"));
    assert_snapshot!(refusal(&format!("{text}\"bulky\"")), @r#"
error: unknown key `max`
 --> proxy.toml:2:1
  |
2 | max = 3
  | ^^^ did you mean `max_connections`?
  |
  = help: the keys here are `max_connections`, `at_limit`, `timeouts`, `overload`

error: there is no pool "bulky"
 --> proxy.toml:8:8
  |
8 | pool = "bulky"
  |        ^^^^^^^ did you mean "bulk"?
  |
  = help: the pools are "direct", "chain", "bulk"; a table in [pools] makes another one
"#);
}

#[test]
fn a_pool_that_nothing_is_in() {
    let text = format!("[pools.direct]\n[pools.chain]\n[pools.bulk]\nmax_connections = 5\n{ROUTE}");
    assert_snapshot!(good(&text).warnings.render(Ink::Plain), @r#"
warning: no route is in the pool "bulk"
 --> proxy.toml:3:1
  |
3 | [pools.bulk]
  | ^^^^^^^^^^^^ this has no effect
  |
  = help: a route is put there by pool = "bulk"
"#);
    assert_snapshot!(good(&format!("pools.bulk = {{}}\n{ROUTE}")).warnings.render(Ink::Plain), @r#"
warning: no route is in the pool "bulk"
 --> proxy.toml:1:14
  |
1 | pools.bulk = {}
  |              ^^ this has no effect
  |
  = help: a route is put there by pool = "bulk"
"#);
}

#[test]
fn too_many() {
    let file = |count: usize| {
        let mut text = String::new();
        for n in 0..count {
            write!(text, "[pools.p{n}]\n[[routes]]\nname = \"r{n}\"\npool = \"p{n}\"\naction = \"refuse\"\n")
                .unwrap();
            writeln!(text, "match = {{ ports = [{}] }}", n + 1).unwrap();
        }
        text
    };
    let config = good(&file(62));
    assert_eq!(config.settings.pools.len(), 64);
    assert_snapshot!(refusal(&file(63)), @"
error: more than 64 pools
   --> proxy.toml:373:1
    |
373 | [pools.p62]
    | ^^^^^^^^^^^ 63 tables, and `direct` and `chain` are always there
");
}

#[test]
fn options_of_the_overload_breaker_that_contradict_each_other() {
    let overload = |options: &str| before_route(&format!("[pools.chain.overload]\n{options}"));
    assert_snapshot!(overload("connections_tight = 90\nconnections_shed = 80"), @"
error: `connections_tight` (90%) has to be below `connections_shed` (80%)
 --> proxy.toml:2:21
  |
2 | connections_tight = 90
  |                     ^^
3 | connections_shed = 80
  |                    -- which is here
");
    assert_snapshot!(overload("memory_tight = 95"), @"
error: `memory_tight` (95%) has to be below `memory_shed` (95%)
 --> proxy.toml:2:16
  |
2 | memory_tight = 95
  |                ^^ by default, `memory_shed` is 95%
");
    assert_snapshot!(overload("dialling_shed = 25"), @"
error: `dialling_tight` (25%) has to be below `dialling_shed` (25%)
 --> proxy.toml:2:17
  |
2 | dialling_shed = 25
  |                 ^^ by default, `dialling_tight` is 25%
");
    assert_snapshot!(overload("slack = 25"), @"
error: `slack` (25%) has to be below `dialling_tight` (25%)
 --> proxy.toml:2:9
  |
2 | slack = 25
  |         ^^ by default, `dialling_tight` is 25%
");
    good(&format!("[pools.chain]\noverload = {{ slack = 24, memory_tight = 94 }}\n{ROUTE}"));
}

#[test]
fn options_that_lost_a_part_contradict_nothing() {
    assert_snapshot!(before_route("[pools.chain.overload]\nmemory_tight = 97\nmemory_shed = 101"), @"
error: expected a percentage from 1 to 100, found 101
 --> proxy.toml:3:15
  |
3 | memory_shed = 101
  |               ^^^
");
}

#[test]
fn names() {
    let named = |name: &str| format!("[pools.\"{name}\"]\n{ROUTE}pool = \"{name}\"\n");
    good(&named(&"ü".repeat(64)));
    assert_snapshot!(refusal(&named(&"x".repeat(65))), @r#"
error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:1:8
  |
1 | [pools."xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:7:8
  |
7 | pool = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#);
    assert_snapshot!(refusal(&named("a\\tb")), @r#"
error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:1:8
  |
1 | [pools."a\tb"]
  |        ^^^^^^

error: a name has 1 to 64 characters, none of them a control character
 --> proxy.toml:7:8
  |
7 | pool = "a\tb"
  |        ^^^^^^
"#);
}

#[test]
fn keys() {
    assert_snapshot!(before_route("[pools.chain]\nmax_connection = 5"), @"
error: unknown key `max_connection`
 --> proxy.toml:2:1
  |
2 | max_connection = 5
  | ^^^^^^^^^^^^^^ did you mean `max_connections`?
  |
  = help: the keys here are `max_connections`, `at_limit`, `timeouts`, `overload`
");
    assert_snapshot!(before_route("[pools.chain.overload]\nslak = 5"), @"
error: unknown key `slak`
 --> proxy.toml:2:1
  |
2 | slak = 5
  | ^^^^ did you mean `slack`?
  |
  = help: the keys here are `connections_tight`, `connections_shed`, `growth_within`, `growth_from`, `growth_window`, `dialling_tight`, `dialling_shed`, `dialling_patience`, `descriptors_tight`, `descriptors_shed`, `memory_tight`, `memory_shed`, `slack`, `least_stay`, `shortest_deadline`, `victims_share`, `victims_idle`
");
    assert_snapshot!(before_route("[pools.chain.timeouts]\nconection_timeout = \"5s\""), @r#"
error: unknown key `conection_timeout`
 --> proxy.toml:2:1
  |
2 | conection_timeout = "5s"
  | ^^^^^^^^^^^^^^^^^ did you mean `connection_timeout`?
  |
  = help: the keys here are `connection_timeout`, `proxy_header_timeout`, `initial_data_timeout`, `tls_handshake_timeout`, `inactivity_timeout`, `half_closed_timeout`, `write_stall_timeout`, `no_data_timeout`, `max_connection_lifetime`, `keep_alive_treatment`, `keep_alive_inactivity_multiplier`, `jitter`
"#);
}

#[test]
fn lists_where_tables_belong() {
    assert_snapshot!(before_route("pools = [1]"), @"
error: expected a table
 --> proxy.toml:1:9
  |
1 | pools = [1]
  |         ^^^ this is a list
");
    assert_snapshot!(before_route("pools.chain = [2000]"), @"
error: expected a table
 --> proxy.toml:1:15
  |
1 | pools.chain = [2000]
  |               ^^^^^^ this is a list
");
    assert_snapshot!(before_route("pools.chain.overload = [80, 95]"), @"
error: expected a table
 --> proxy.toml:1:24
  |
1 | pools.chain.overload = [80, 95]
  |                        ^^^^^^^^ this is a list
");
}
