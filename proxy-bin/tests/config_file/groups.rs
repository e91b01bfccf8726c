//! Groups that have a name: what they become, and what is wrong with them.

use insta::assert_snapshot;
use proxy_bin::config::{Action, Config, Ink};
use proxy_core::Bound;
use proxy_upstream::{Balance, HashKey, Leaving, Percent};

use crate::{ROUTE, good, refusal};

/// A file with this in `[groups.inner]`, and a route that is taken there.
fn group(text: &str) -> String {
    format!("[groups.inner]\n{text}\n{}", route("@inner"))
}

fn route(forward: &str) -> String {
    format!(
        "[[routes]]\nname = \"web\"\nmatch = {{ ports = [8080] }}\naction = {{ forward = \"{forward}\" }}\n"
    )
}

fn warnings(text: &str) -> String {
    good(text).warnings.render(Ink::Plain)
}

/// What connections are taken to, a line a member.
fn picture(config: &Config) -> String {
    let member = |member: &proxy_upstream::MemberOptions| {
        let proxy_upstream::MemberOptions { target, weight, priority, backup, .. } = member;
        format!("{target} weight {weight} priority {priority}{}", if *backup { " backup" } else { "" })
    };
    let groups = config.settings.groups.iter();
    let lines = groups.flat_map(|group| {
        std::iter::once(format!("{}:", group.name)).chain(group.members().iter().map(member))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_group_with_every_key() {
    let config = good(include_str!("every_key.toml"));
    assert_snapshot!(picture(&config), @r"
    inner:
    10.0.0.1:443 weight 1 priority 0
    10.0.0.2:443 weight 2 priority 1 backup
    stats:
    10.0.1.1:7 weight 1 priority 0
    tls:
    10.0.2.1:443 weight 1 priority 0
    ");
    let options = &config.settings.groups[0].options;
    assert_eq!(options.balance, Balance::Hash(HashKey::Client));
    assert_eq!((options.max_connections_per_member, options.breaker.failures_in_a_row.get()), (1000, 2));
    assert_eq!((options.slow_start, options.on_removed), (Some(Bound::secs(30)), Leaving::Drain));
}

#[test]
fn a_group_that_says_who_is_in_it_has_the_defaults_and_the_breaker_of_all() {
    let text =
        format!("[breaker]\nfailures_in_a_row = 7\n{}", group("members = [\"db:1\", \"unix:/run/a\"]"));
    let config = good(&text);
    let options = &config.settings.groups[0].options;
    let defaults = proxy_upstream::GroupOptions::default();
    assert_eq!(options.breaker.failures_in_a_row.get(), 7);
    assert_eq!(*options, defaults.breaker(options.breaker));
    assert_eq!(options.panic_threshold, Percent::nearest(0));
    assert!(config.warnings.is_empty());
}

#[test]
fn members_are_targets_or_tables_in_any_form_of_toml() {
    let tables = "[[groups.inner.members]]\nto = { host = \"2001:db8::1\", port = \"preserve\" }\n\
                  [[groups.inner.members]]\nto = \"10.0.0.1:1\"\nweight = 0\n";
    assert_snapshot!(picture(&good(&format!("{tables}{}", route("@inner")))), @r"
    inner:
    [2001:db8::1]:preserve weight 1 priority 0
    10.0.0.1:1 weight 0 priority 0
    ");
}

#[test]
fn every_balance() {
    for (written, meant) in [
        ("\"round_robin\"", Balance::RoundRobin),
        ("\"least_connections\"", Balance::LeastConnections),
        ("\"p2c\"", Balance::P2c),
        ("\"random\"", Balance::Random),
        ("\"first\"", Balance::First),
        ("{ hash = \"client\" }", Balance::Hash(HashKey::Client)),
        ("{ hash = \"server_name\" }", Balance::Hash(HashKey::ServerName)),
    ] {
        let config = good(&group(&format!("members = [\"10.0.0.1:1\"]\nbalance = {written}")));
        assert_eq!(config.settings.groups[0].options.balance, meant, "{written}");
    }
}

/// Also where the routes are read one by one, as those of a large file are.
#[test]
fn routes_that_are_taken_to_a_group_share_it() {
    let route = |n: u16| {
        format!(
            "[[routes]]\nname = \"{n}\"\nmatch = {{ ports = [{n}] }}\naction = {{ forward = \"@inner\" }}\n"
        )
    };
    let text = format!("{}{}{}", route(80), group("members = [\"10.0.0.1:1\"]"), route(81));
    let config = good(&text);
    let of = |n: usize| match &config.settings.routes.route(n).unwrap().payload.action {
        Action::Group(group) => std::sync::Arc::as_ptr(group),
        other @ (Action::Forward(_) | Action::Refuse) => panic!("{other:?}"),
    };
    assert_eq!((of(0), of(1)), (std::sync::Arc::as_ptr(&config.settings.groups[0]), of(2)));
}

#[test]
fn a_group_that_is_not_there() {
    assert_snapshot!(refusal(&format!("[groups.inner]\nmembers = [\"10.0.0.1:1\"]\n{}{}", route("@iner"), route("@inner").replace("web", "x").replace("8080", "1"))), @r#"
error: there is no group "iner"
 --> proxy.toml:6:22
  |
6 | action = { forward = "@iner" }
  |                      ^^^^^^^ did you mean "@inner"?
  |
  = help: the only group is "@inner"; a table makes one:
          [groups.iner]
          members = ["10.0.0.1:3000", "10.0.0.2:3000"]
"#);
    assert_snapshot!(refusal(&route("@inner")), @r#"
error: there is no group "inner"
 --> proxy.toml:4:22
  |
4 | action = { forward = "@inner" }
  |                      ^^^^^^^^
  |
  = help: the file has no groups; a table makes one:
          [groups.inner]
          members = ["10.0.0.1:3000", "10.0.0.2:3000"]
"#);
}

#[test]
fn what_is_written_in_place_of_a_group() {
    let written = |forward: &str| {
        refusal(&format!(
            "[groups.inner]\nmembers = [\"10.0.0.1:1\"]\n[[routes]]\nname = \"web\"\nmatch = {{ ports = [8080] }}\n\
             action = {{ forward = {forward} }}\n"
        ))
    };
    assert_snapshot!(written("\"inner\""), @r#"
error: "inner" is neither a list of targets nor a group
 --> proxy.toml:6:22
  |
6 | action = { forward = "inner" }
  |                      ^^^^^^^
  |
  = help: write "@inner" for the group of that name
"#);
    assert_snapshot!(written("[\"@inner\"]"), @r#"
error: "@inner" is a group, and a list has targets alone
 --> proxy.toml:6:23
  |
6 | action = { forward = ["@inner"] }
  |                       ^^^^^^^^
  |
  = help: write forward = "@inner"
"#);
    assert_snapshot!(written("[\"10.0.0.1:1\", \"@inner\"]"), @r#"
error: "@inner" is a group, and a list has targets alone
 --> proxy.toml:6:37
  |
6 | action = { forward = ["10.0.0.1:1", "@inner"] }
  |                                     ^^^^^^^^
  |
  = help: write forward = "@inner"
"#);
    assert_snapshot!(written("\"@in ner\""), @r#"
error: a group's name has 1 to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit
 --> proxy.toml:6:22
  |
6 | action = { forward = "@in ner" }
  |                      ^^^^^^^^^
"#);
    assert_snapshot!(written("\"@\""), @r#"
error: a group's name has 1 to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit
 --> proxy.toml:6:22
  |
6 | action = { forward = "@" }
  |                      ^^^
"#);
    assert_snapshot!(written("\"10.0.0.1:1\""), @r#"
error: expected a list
 --> proxy.toml:6:22
  |
6 | action = { forward = "10.0.0.1:1" }
  |                      ^^^^^^^^^^^^ this is a string
  |
  = help: write ["10.0.0.1:1"]
"#);
    assert_snapshot!(written("3"), @r"
error: expected a list
 --> proxy.toml:6:22
  |
6 | action = { forward = 3 }
  |                      ^ this is the number 3
  |
  = help: write [3]
");
}

#[test]
fn a_group_of_nobody_and_of_somebody_twice() {
    assert_snapshot!(refusal(&group("members = []")), @r#"
error: group "inner" has no members
 --> proxy.toml:2:11
  |
2 | members = []
  |           ^^ at least one target has to be here
"#);
    assert_snapshot!(refusal(&group("balance = \"p2c\"")), @r"
error: missing key `members`
 --> proxy.toml:1:1
  |
1 | [groups.inner]
  | ^^^^^^^^^^^^^^ `members` has to be set here
");
    assert_snapshot!(refusal(&group("members = [\"10.0.0.1:1\", \"db:1\", { to = \"10.0.0.1:1\", weight = 2 }]")), @r#"
error: "10.0.0.1:1" is twice a member of group "inner"
 --> proxy.toml:2:34
  |
2 | members = ["10.0.0.1:1", "db:1", { to = "10.0.0.1:1", weight = 2 }]
  |            ------------          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |            |
  |            the first time is here
  |
  = help: for a greater share, give it a `weight`: { to = "…", weight = 2 }
"#);
    assert_snapshot!(refusal(&group("members = [{ to = \"a:1\", weight = 0 }, { to = \"b:1\", weight = 0 }]")), @r#"
error: all members of group "inner" have the weight 0
 --> proxy.toml:2:11
  |
2 | members = [{ to = "a:1", weight = 0 }, { to = "b:1", weight = 0 }]
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ so none of them is to get a connection
  |
  = help: give one of them another weight
"#);
}

#[test]
fn a_member_that_is_none() {
    assert_snapshot!(refusal(&group("members = [\"10.0.0.1\"]")), @r#"
error: "10.0.0.1" lacks a port
 --> proxy.toml:2:12
  |
2 | members = ["10.0.0.1"]
  |            ^^^^^^^^^^
  |
  = help: write "10.0.0.1:3000", or "10.0.0.1:preserve" for the port the client came to
"#);
    assert_snapshot!(refusal(&group("members = [\"@other\"]")), @r#"
error: "@other" is a group, and the members of a group are targets
 --> proxy.toml:2:12
  |
2 | members = ["@other"]
  |            ^^^^^^^^
"#);
    assert_snapshot!(refusal(&group("members = [{ weight = 2 }]")), @r"
error: missing key `to`
 --> proxy.toml:2:12
  |
2 | members = [{ weight = 2 }]
  |            ^^^^^^^^^^^^^^ `to` has to be set here
");
    assert_snapshot!(refusal(&group("members = [{ to = \"a:1\", wieght = 2 }]")), @r#"
error: unknown key `wieght`
 --> proxy.toml:2:26
  |
2 | members = [{ to = "a:1", wieght = 2 }]
  |                          ^^^^^^ did you mean `weight`?
  |
  = help: the keys here are `to`, `weight`, `priority`, `backup`
"#);
    assert_snapshot!(refusal(&group("members = [{ server = \"a:1\" }]")), @r#"
error: unknown key `server`
 --> proxy.toml:2:14
  |
2 | members = [{ server = "a:1" }]
  |              ^^^^^^ did you mean `to`?
  |
  = help: the keys here are `to`, `weight`, `priority`, `backup`
"#);
}

#[test]
fn a_member_of_which_too_much_is_said() {
    assert_snapshot!(refusal(&group("members = [{ to = \"a:1\", weight = 257 }]")), @r#"
error: expected a whole number from 0 to 256
 --> proxy.toml:2:35
  |
2 | members = [{ to = "a:1", weight = 257 }]
  |                                   ^^^ this is the number 257
"#);
    assert_snapshot!(refusal(&group("members = [{ to = \"a:1\", priority = 256 }]")), @r#"
error: expected a whole number from 0 to 255
 --> proxy.toml:2:37
  |
2 | members = [{ to = "a:1", priority = 256 }]
  |                                     ^^^ this is the number 256
"#);
    assert_snapshot!(refusal(&group("members = [7]")), @r#"
error: expected a member such as "10.0.0.1:3000" or { to = "10.0.0.1:3000", weight = 2 }
 --> proxy.toml:2:12
  |
2 | members = [7]
  |            ^ this is the number 7
"#);
    assert_snapshot!(refusal(&group("members = \"a:1\"")), @r#"
error: expected a list
 --> proxy.toml:2:11
  |
2 | members = "a:1"
  |           ^^^^^ this is a string
  |
  = help: write ["a:1"]
"#);
}

#[test]
fn a_name_that_is_none_for_a_group() {
    let named = |name: &str| refusal(&format!("[groups.\"{name}\"]\nmembers = [\"a:1\"]\n{ROUTE}"));
    assert_snapshot!(named("in ner"), @r#"
error: a group's name has 1 to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit
 --> proxy.toml:1:9
  |
1 | [groups."in ner"]
  |         ^^^^^^^^
"#);
    assert_snapshot!(named("@inner"), @r#"
error: a group's name has 1 to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit
 --> proxy.toml:1:9
  |
1 | [groups."@inner"]
  |         ^^^^^^^^
"#);
    assert_snapshot!(named(""), @r#"
error: a group's name has 1 to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit
 --> proxy.toml:1:9
  |
1 | [groups.""]
  |         ^^
"#);
}

#[test]
fn a_balance_that_is_none() {
    let balance = |written: &str| refusal(&group(&format!("members = [\"a:1\"]\nbalance = {written}")));
    assert_snapshot!(balance("\"leastconn\""), @r#"
error: unknown value `leastconn`
 --> proxy.toml:3:11
  |
3 | balance = "leastconn"
  |           ^^^^^^^^^^^
  |
  = help: write "round_robin", "least_connections", "p2c", "random", "first" or { hash = "client" }
"#);
    assert_snapshot!(balance("\"hash\""), @r#"
error: `hash` needs what to hash
 --> proxy.toml:3:11
  |
3 | balance = "hash"
  |           ^^^^^^
  |
  = help: write "round_robin", "least_connections", "p2c", "random", "first" or { hash = "client" }
"#);
    assert_snapshot!(balance("{ hash = \"source\" }"), @r#"
error: unknown value `source`
 --> proxy.toml:3:20
  |
3 | balance = { hash = "source" }
  |                    ^^^^^^^^ not a value that is known here
  |
  = help: the values here are `client`, `server_name`
"#);
    assert_snapshot!(balance("{ first = true }"), @r#"
error: unknown key `first`
 --> proxy.toml:3:13
  |
3 | balance = { first = true }
  |             ^^^^^ this is a word, not a key
  |
  = help: write balance = "first"
"#);
}

#[test]
fn values_out_of_range_and_keys_of_other_proxies() {
    assert_snapshot!(refusal(&group("members = [\"a:1\"]\npanic_threshold = 101")), @r"
error: expected a whole number from 0 to 100
 --> proxy.toml:3:19
  |
3 | panic_threshold = 101
  |                   ^^^ this is the number 101
");
    assert_snapshot!(refusal(&group("members = [\"a:1\"]\non_removed = \"close\"")), @r#"
error: unknown value `close`
 --> proxy.toml:3:14
  |
3 | on_removed = "close"
  |              ^^^^^^^ not a value that is known here
  |
  = help: the values here are `keep`, `kill`, `drain`
"#);
    assert_snapshot!(refusal(&group("members = [\"a:1\"]\nslow_start = \"0s\"")), @r#"
error: a duration must be at least 1ms: every phase has a deadline, and zero is not one
 --> proxy.toml:3:14
  |
3 | slow_start = "0s"
  |              ^^^^
"#);
    assert_snapshot!(refusal(&group("members = [\"a:1\"]\nlb_policy = \"p2c\"\nmaxconn = 5")), @r#"
error: unknown key `lb_policy`
 --> proxy.toml:3:1
  |
3 | lb_policy = "p2c"
  | ^^^^^^^^^ did you mean `balance`?
  |
  = help: the keys here are `members`, `balance`, `max_connections_per_member`, `breaker`, `slow_start`, `panic_threshold`, `on_removed`, `check`, `on_down`, `outliers`, `congestion`, `source`, `interface`, `mark`

error: unknown key `maxconn`
 --> proxy.toml:4:1
  |
4 | maxconn = 5
  | ^^^^^^^ did you mean `max_connections_per_member`?
  |
  = help: the keys here are `members`, `balance`, `max_connections_per_member`, `breaker`, `slow_start`, `panic_threshold`, `on_removed`, `check`, `on_down`, `outliers`, `congestion`, `source`, `interface`, `mark`
"#);
    assert_snapshot!(refusal(&group("members = [\"a:1\"]\nbreaker = { cool_down = \"9m\" }")), @r#"
error: `cool_down` (9m) is longer than `longest_cool_down` (2m)
 --> proxy.toml:3:25
  |
3 | breaker = { cool_down = "9m" }
  |                         ^^^^ by default, `longest_cool_down` is 2m
  |
  = help: a wait can only grow: set both
"#);
}

#[test]
fn what_belongs_to_the_group_and_not_to_the_route() {
    let text = format!(
        "{}max_connections_per_target = 5\nbreaker = {{ cool_down = \"1s\" }}\n",
        group("members = [\"a:1\"]")
    );
    assert_snapshot!(refusal(&text), @r#"
error: `max_connections_per_target` of a route has no effect on a group
 --> proxy.toml:7:1
  |
6 | action = { forward = "@inner" }
  |                      -------- whose members other routes may use too
7 | max_connections_per_target = 5
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write `max_connections_per_member` in [groups.inner]

error: `breaker` of a route has no effect on a group
 --> proxy.toml:8:1
  |
6 | action = { forward = "@inner" }
  |                      -------- whose members other routes may use too
7 | max_connections_per_target = 5
8 | breaker = { cool_down = "1s" }
  | ^^^^^^^
  |
  = help: write `breaker` in [groups.inner]
"#);
}

#[test]
fn a_group_that_does_nothing() {
    assert_snapshot!(warnings(&format!("[groups.inner]\nmembers = [\"a:1\"]\n{ROUTE}")), @r#"
warning: no route is taken to the group "inner"
 --> proxy.toml:1:1
  |
1 | [groups.inner]
  | ^^^^^^^^^^^^^^ this has no effect
  |
  = help: a route is taken there by action = { forward = "@inner" }
"#);
    assert_snapshot!(warnings(&group("members = [{ to = \"a:1\", backup = true }]")), @r#"
warning: all members of group "inner" are backups
 --> proxy.toml:2:11
  |
2 | members = [{ to = "a:1", backup = true }]
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ there is nobody whom they could stand in for: they are used all the same
"#);
    assert_snapshot!(warnings(&format!("[limits]\nmax_connections = 9\n{}", group("members = [\"a:1\"]\nmax_connections_per_member = 10"))), @r#"
warning: the limit of each member of group "inner" is never met
 --> proxy.toml:5:30
  |
2 | max_connections = 9
  |                   - the whole proxy takes 9
...
5 | max_connections_per_member = 10
  |                              ^^ 10 are more than all together may be
"#);
    assert!(
        good(&group("members = [\"a:1\", { to = \"b:1\", priority = 7 }]")).warnings.is_empty(),
        "a gap is none"
    );
}

#[test]
fn a_member_that_is_the_proxy_itself() {
    assert_snapshot!(refusal(&group("members = [\"10.0.0.1:1\", { to = \"127.0.0.1:8080\" }]")), @r#"
error: route "web" forwards to itself
 --> proxy.toml:2:26
  |
2 | members = ["10.0.0.1:1", { to = "127.0.0.1:8080" }]
  |                          ^^^^^^^^^^^^^^^^^^^^^^^^^ this is the proxy's own port 8080
...
5 | match = { ports = [8080] }
  |                   ------ which this route takes
  |
  = help: each connection would open another one without end: name the backend's address and port
"#);
}

#[test]
fn several_things_at_once_with_what_was_cut_out_not_held_against_the_rest() {
    let text = "[groups.inner]\nmembers = [\"a\", \"b:1\"]\nweigth = 2\n[groups.spare]\nmembers = []\n";
    assert_snapshot!(refusal(&format!("{text}{}", route("@inner"))), @r#"
error: "a" lacks a port
 --> proxy.toml:2:12
  |
2 | members = ["a", "b:1"]
  |            ^^^
  |
  = help: write "a:3000", or "a:preserve" for the port the client came to

error: unknown key `weigth`
 --> proxy.toml:3:1
  |
3 | weigth = 2
  | ^^^^^^ did you mean `weight` in `members`?

error: group "spare" has no members
 --> proxy.toml:5:11
  |
5 | members = []
  |           ^^ at least one target has to be here
"#);
}

#[test]
fn a_route_that_would_be_taken_for_a_group() {
    let text = group("members = [\"a:1\"]").replace("name = \"web\"", "name = \"@inner\"");
    assert_snapshot!(refusal(&text), @r#"
error: a route is named "@inner", as the group "inner" is called in metrics
 --> proxy.toml:4:8
  |
4 | name = "@inner"
  |        ^^^^^^^^ give it another name
"#);
    good(&group("members = [\"a:1\"]").replace("name = \"web\"", "name = \"@other\""));
}

/// What `check OUTER INNER` says of a group of 1 000 connections, one member of which is an inner hop that takes `most`.
fn brought(members: &str, balance: &str, most: u32) -> Option<String> {
    let outer = format!(
        "limits.max_connections = 1000\n[groups.inner]\nmembers = [{members}]\n{balance}\n{}send_proxy = \"v2\"\n\
         next_hop = \"smartproxy\"\n",
        route("@inner")
    );
    let inner = format!(
        "limits.max_connections = {most}\n[[listeners]]\nports = [9001]\naccept_proxy = {{ required = [\"10.0.0.0/8\"] }}\n{}",
        ROUTE.replace("8080", "9001")
    );
    let between = proxy_bin::config::between(&good(&outer), &good(&inner), 0);
    assert_eq!((between.routes, between.outer.len()), (1, 0));
    between.inner.iter().next().map(|finding| finding.label.clone())
}

#[test]
fn a_member_brings_as_many_as_its_weight_says_and_one_that_stands_in_all() {
    let here = "10.0.0.1:9001";
    let three = format!("{{ to = \"{here}\", weight = 3 }}, \"10.0.0.2:1\"");
    assert_eq!(brought(&three, "", 750), None);
    assert_eq!(brought(&three, "", 749).unwrap(), "749 here, 750 there");
    assert_eq!(brought(&three, "balance = \"first\"", 750).unwrap(), "750 here, 1000 there");
    assert_eq!(brought(&three, "max_connections_per_member = 5", 5), None);
    let backup = format!("{{ to = \"{here}\", backup = true }}, \"10.0.0.2:1\"");
    assert_eq!(brought(&backup, "", 999).unwrap(), "999 here, 1000 there");
    let level = format!("\"10.0.0.2:1\", {{ to = \"{here}\", priority = 1 }}");
    assert_eq!(brought(&level, "", 999).unwrap(), "999 here, 1000 there");
}

#[test]
fn names_that_stand_for_members() {
    let members = r#"members = [
    "srv+_pg._tcp.db.example",
    "10.0.0.1:1",
    { to = "srv+_Pg._tcp.spare.example", backup = true },
    { to = "dns+web.example:80", weight = 3, priority = 1 },
]"#;
    let config = good(&group(members));
    let names = config.settings.groups[0].options.names.iter();
    let text = |one: &proxy_upstream::NameOptions| {
        format!("{} weight {} priority {} {}", one.name, one.weight, one.priority, one.backup)
    };
    assert_snapshot!(names.map(text).collect::<Vec<_>>().join("\n"), @r"
    srv+_pg._tcp.db.example weight 1 priority 0 false
    srv+_pg._tcp.spare.example weight 1 priority 0 true
    dns+web.example:80 weight 3 priority 1 false
    ");
    assert_eq!(config.settings.groups[0].members().len(), 1);
    assert!(good(&group("members = [\"srv+_pg._tcp.db.example\"]")).warnings.is_empty());
}

#[test]
fn names_that_stand_for_members_are_none() {
    let refused = |text: &str| refusal(&group(text)).lines().next().unwrap_or_default().to_owned();
    assert_snapshot!(refusal(&group("members = [\"srv+db.example\"]")), @r#"
error: "srv+db.example" is no service: it is written as in "srv+_pg._tcp.example", its name and its protocol each with a "_"
 --> proxy.toml:2:12
  |
2 | members = ["srv+db.example"]
  |            ^^^^^^^^^^^^^^^^
"#);
    assert_snapshot!(refused("members = [{ to = \"dns+web.example\" }]"), @r#"error: "dns+web.example" lacks the port that each address is dialled on: it is written as in "dns+web.example:80""#);
    assert_snapshot!(refusal(&group("members = [\"10.0.0.1:1\", { to = \"srv+_pg._tcp.x\", weight = 2 }]")), @r#"
error: SRV records say the weight of each server themselves
 --> proxy.toml:2:60
  |
2 | members = ["10.0.0.1:1", { to = "srv+_pg._tcp.x", weight = 2 }]
  |                                                            ^ this has no effect
  |
  = help: take it out
"#);
    assert_snapshot!(refused("members = [\"srv+_pg._tcp.x\", \"srv+_pg._tcp.x\"]"), @r#"error: "srv+_pg._tcp.x" is twice a member of group "inner""#);
    let listed = route("@inner").replace("\"@inner\"", "[\"srv+_pg._tcp.x\"]");
    assert_snapshot!(refusal(&listed).lines().next().unwrap_or_default(), @r#"error: "srv+_pg._tcp.x" is a name that stands for members: it is one of `members` in [groups.NAME], which a route is taken to by forward = "@NAME""#);
    let many: String = (0..65).map(|n| format!("\"srv+_s{n}._tcp.x\",")).collect();
    assert!(refusal(&group(&format!("members = [{many}]"))).contains("has more than 64 names"));
}
