//! Two files as neighbours in a chain.

use insta::assert_snapshot;
use proxy_bin::config::{Between, Config, Ink, between};

use crate::good;

const OUTER: &str = r#"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "to-inner"
match = { ports = [8001] }
action = { forward = ["127.0.0.1:8002"] }
"#;

const SENDS: &str = "send_proxy = \"v2\"\nnext_hop = \"smartproxy\"\n";

const INNER: &str = r#"
[[listeners]]
bind = ["127.0.0.1"]
accept_proxy = { required = ["127.0.0.1/32"] }
[[routes]]
name = "backend"
match = { ports = [8002] }
action = { forward = ["127.0.0.1:8080"] }
"#;

fn named(text: &str, name: &str) -> Config {
    drop(good(text));
    Config::parse(text, name).unwrap()
}

fn compared(outer: &str, inner: &str) -> Between {
    between(&named(outer, "outer.toml"), &named(inner, "inner.toml"), 0)
}

/// What is said of both files.
fn said(outer: &str, inner: &str) -> String {
    let between = compared(outer, inner);
    assert_eq!(between.routes, 1);
    let both = [between.outer, between.inner].map(|findings| findings.render(Ink::Plain));
    both.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What is said where each hop has something before its listeners and something in its route.
fn said_of(outer: [&str; 2], inner: [&str; 2]) -> String {
    said(&format!("{}{OUTER}{SENDS}{}", outer[0], outer[1]), &format!("{}{INNER}{}", inner[0], inner[1]))
}

#[test]
fn the_built_in_deadlines_of_two_hops_fit() {
    assert_eq!(said_of(["", ""], ["", ""]), "");
    let inner = INNER.replace("127.0.0.1:8080", "127.0.0.1:8003") + SENDS;
    let third = INNER.replace("8002", "8003");
    let first = compared(&format!("{OUTER}{SENDS}"), &inner);
    assert_eq!(first.proxies, 1);
    let second = between(&named(&inner, "inner.toml"), &named(&third, "third.toml"), first.proxies);
    assert_eq!((second.routes, second.proxies, second.outer.len(), second.inner.len()), (1, 2, 0, 0));
    // Who demands a header has another one before it, whether its file is there or not.
    let alone = between(&named(&inner, "inner.toml"), &named(&third, "third.toml"), 0);
    assert_eq!(alone.proxies, 2);
}

#[test]
fn a_hop_that_takes_a_header_and_sends_none_has_the_deadlines_of_a_chain() {
    let last =
        INNER.replace("8002", "8003").replace("accept_proxy = { required = [\"127.0.0.1/32\"] }\n", "");
    let timeouts = "timeouts = { inactivity_timeout = \"30m\", half_closed_timeout = \"8s\", no_data_timeout = \"50s\", max_connection_lifetime = \"1h\" }";
    let said = said(&INNER.replace("8080", "8003"), &format!("{last}{timeouts}"));
    assert!(said.contains("inactivity_timeout is 30m here and 9m there"), "{said}");
    assert!(said.contains("write timeouts = { inactivity_timeout = \"8m6s\" }"), "{said}");
}

#[test]
fn what_the_outer_hop_ends_first_or_at_the_same_time() {
    assert_snapshot!(said_of(["", ""], ["", "timeouts = { inactivity_timeout = \"10m\" }"]));
    assert_snapshot!(said_of(
        ["[timeouts]\ninactivity_timeout = \"1h\"\njitter = 10\n", ""],
        [
            "[timeouts]\ninactivity_timeout = \"55m\"\nhalf_closed_timeout = \"1m\"\nwrite_stall_timeout = \"6m\"\n",
            ""
        ],
    ));
    assert_snapshot!(said_of(
        ["", "timeouts = { no_data_timeout = \"8s\", max_connection_lifetime = \"1h\" }"],
        [
            "",
            "timeouts = { no_data_timeout = \"off\", connection_timeout = \"10s\", keep_alive_treatment = \"immortal\" }"
        ],
    ));
    // What is as it should be: the same patience with whoever does not read, and less with whoever is silent.
    let times = |idle, half| {
        format!(
            "timeouts = {{ inactivity_timeout = \"{idle}\", half_closed_timeout = \"{half}\", write_stall_timeout = \"1m\" }}"
        )
    };
    assert_eq!(said_of(["", &times("1h", "20s")], ["", &times("59m", "19s")]), "");
}

#[test]
fn what_is_written_for_the_inner_hop_is_as_good_as_it_says() {
    for timeouts in ["", "timeouts = { keep_alive_treatment = \"extended\", jitter = 20 }"] {
        let outer = "[timeouts]\ninactivity_timeout = \"10m\"\nhalf_closed_timeout = \"4s\"\njitter = 5\n";
        let inner = "[timeouts]\ninactivity_timeout = \"10m\"\nhalf_closed_timeout = \"4s\"\n";
        let told = said_of([outer, ""], [inner, timeouts]);
        let (_, wanted) = told.split_once("write timeouts = { ").unwrap();
        let (wanted, _) = wanted.split_once(" }").unwrap();
        let timeouts = if timeouts.is_empty() {
            format!("timeouts = {{ {wanted} }}")
        } else {
            timeouts.replace(" }", &format!(", {wanted} }}"))
        };
        assert_eq!(said_of([outer, ""], [inner, &timeouts]), "", "{wanted}");
    }
}

#[test]
fn a_name_that_the_inner_hop_waits_for_too_long() {
    let named = "match = { ports = [8002], domains = [\"*.example.com\"] }";
    let inner = INNER.replace("match = { ports = [8002] }", named);
    let inner = format!("timeouts.no_data_timeout = \"12s\"\n{inner}");
    let outer = format!("[timeouts]\nno_data_timeout = \"15s\"\n{OUTER}{SENDS}");
    assert_snapshot!(said(&outer, &inner));
    // A hop that has waited for it itself has it to pass on.
    let outer = outer.replace("ports = [8001]", "ports = [8001], domains = [\"a.example.com\"]");
    assert_eq!(said(&outer, &inner), "");
}

#[test]
fn only_routes_that_the_same_names_lead_to_are_compared() {
    let slow = "timeouts = { inactivity_timeout = \"10h\" }";
    let route = |name: &str, domain: &str, more: &str| {
        format!(
            "\n[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [8002], domains = [\"{domain}\"] }}\naction = {{ forward = [\"127.0.0.1:8080\"] }}\n{more}\n"
        )
    };
    let inner = INNER.replace("[[routes]]\nname = \"backend\"\nmatch = { ports = [8002] }\naction = { forward = [\"127.0.0.1:8080\"] }", "");
    let inner = format!("{inner}{}{}", route("a", "*.a.test", ""), route("b", "b.test", slow));
    let only = |name: &str| {
        let ports = format!("ports = [8001], domains = [\"{name}\"]");
        said(&format!("{}{SENDS}", OUTER.replace("ports = [8001]", &ports)), &inner)
    };
    assert_eq!(only("x.a.test"), "");
    assert!(only("*.test").contains("route \"b\""));
    assert!(only("b.test").contains("route \"b\""));
}

#[test]
fn a_header_that_is_not_expected_or_not_sent() {
    let open = INNER.replace("accept_proxy = { required = [\"127.0.0.1/32\"] }\n", "");
    assert_snapshot!(said(&format!("{OUTER}{SENDS}"), &open));
    assert_snapshot!(said(OUTER, INNER));
}

#[test]
fn an_outer_hop_that_the_inner_does_not_trust() {
    let trusts = |what: &str| INNER.replace("required = [\"127.0.0.1/32\"]", what);
    let outer = format!("{OUTER}{SENDS}");
    assert_snapshot!(said(&outer, &trusts("required = [\"10.0.0.0/8\"]")));
    assert_snapshot!(said(&outer, &trusts("optional = [\"10.0.0.0/8\"]")));
    // Whoever connects to another machine comes from no loopback address.
    let far =
        |text: &str| text.replace("127.0.0.1:8002", "192.0.2.2:8002").replace("bind = [\"127.0.0.1\"]\n", "");
    assert_snapshot!(said(&far(&outer), &far(INNER)));
    assert_eq!(
        said(&far(&outer), &far(&trusts("required = [\"192.0.2.0/24\"]"))),
        "",
        "it may be one of those"
    );
}

#[test]
fn a_header_for_anybody() {
    assert_snapshot!(said(&format!("{OUTER}send_proxy = \"v2\"\n"), INNER));
    assert_snapshot!(said(&format!("{OUTER}send_proxy = \"v1\"\n"), INNER));
    let no_ids = format!("{OUTER}{SENDS}proxy_v2 = {{ fields = [\"alpn\"] }}\n");
    assert_snapshot!(said(&no_ids, INNER));
    let short = format!("[proxy_protocol]\nmax_header = \"256B\"\n{INNER}");
    assert_snapshot!(said(&format!("{OUTER}{SENDS}"), &short));
}

#[test]
fn a_crowd_that_the_inner_hop_does_not_let_in() {
    assert_snapshot!(said_of(
        ["limits.max_connections = 1000\n", ""],
        ["limits.max_connections = 900\n", ""]
    ));
    assert_snapshot!(said_of(
        ["limits.max_connections = 1000\n", ""],
        ["limits.max_connections = 2000\npools.chain.max_connections = 500\n", ""]
    ));
    for narrow in ["max_connections = 900", "max_connections_per_target = 900"] {
        let limits = "limits.max_connections = 900\n";
        assert_eq!(said_of(["limits.max_connections = 1000\n", narrow], [limits, ""]), "");
    }
    // Nobody knows how many descriptors the other machine has.
    assert_eq!(said_of(["", ""], ["limits.max_connections = 10\n", ""]), "");
}

#[test]
fn clients_that_are_one_client_to_the_inner_hop() {
    let times = "timeouts = { inactivity_timeout = \"5m\", half_closed_timeout = \"5s\", no_data_timeout = \"9s\", max_connection_lifetime = \"1h\" }";
    let open = |limits: &str| {
        let inner = INNER.replace("accept_proxy = { required = [\"127.0.0.1/32\"] }\n", "");
        format!("{limits}{inner}{times}")
    };
    assert_eq!(said(OUTER, &open("")), "", "loopback has no limit of its own");
    assert_snapshot!(said(OUTER, &open("limits.connections_per_client = 50\n")));
    let let_in = "limits = { connections_per_client = 50, unlimited_clients = [\"127.0.0.0/8\"] }\n";
    assert_eq!(said(OUTER, &open(let_in)), "");
    assert_eq!(
        said(
            &format!("limits.max_connections = 50\n{OUTER}"),
            &open("limits = { connections_per_client = 50, connections_per_client_per_minute = \"off\" }\n")
        ),
        ""
    );
    let far =
        |text: &str| text.replace("127.0.0.1:8002", "192.0.2.2:8002").replace("bind = [\"127.0.0.1\"]\n", "");
    assert_snapshot!(said(&far(OUTER), &far(&open(""))));
}

#[test]
fn hops_that_are_no_neighbours() {
    let routes = |target: &str, inner: &str| compared(&OUTER.replace("127.0.0.1:8002", target), inner).routes;
    assert_eq!(routes("127.0.0.1:9999", INNER), 0, "another port");
    assert_eq!(routes("192.0.2.2:8002", INNER), 0, "another address");
    assert_eq!(routes("unix:/run/x.sock", INNER), 0);
    assert_eq!(routes("localhost:8002", INNER), 1);
    assert_eq!(routes("[::ffff:127.0.0.1]:8002", INNER), 1, "which is an IPv4 address");
    assert_eq!(routes("inner.test:8002", INNER), 1, "whatever the name leads to");
    assert_eq!(routes("192.0.2.2:8002", &INNER.replace("\"127.0.0.1\"", "\"0.0.0.0\"")), 1);
    assert_eq!(routes("[2001:db8::1]:8002", &INNER.replace("\"127.0.0.1\"", "\"0.0.0.0\"")), 0);
    assert_eq!(routes("192.0.2.2:preserve", &INNER.replace("\"127.0.0.1\"", "\"0.0.0.0\"")), 0);
    assert_eq!(
        routes("192.0.2.2:preserve", &INNER.replace("\"127.0.0.1\"", "\"0.0.0.0\"").replace("8002", "8001")),
        1
    );
    let off = INNER.replace("match =", "enabled = false\nmatch =")
        + "[[routes]]\nname = \"x\"\nmatch = { ports = [1] }\naction = \"refuse\"";
    assert_eq!(routes("127.0.0.1:8002", &off), 0);
}

#[test]
fn what_many_routes_have_in_common_is_said_once() {
    let more: String = (2..40).map(|n| format!("[[routes]]\nname = \"to-inner-{n}\"\nmatch = {{ ports = [{}] }}\naction = {{ forward = [\"127.0.0.1:8002\"] }}\n{SENDS}", 9000 + n)).collect();
    let between = compared(&format!("{OUTER}{SENDS}{more}"), &INNER.replace("127.0.0.1/32", "10.0.0.0/8"));
    assert_eq!((between.routes, between.outer.len(), between.inner.len()), (39, 0, 1));
}

/// Routes with names of their own, as many as that.
fn named_routes(count: usize, port: u16, target: u16, more: &str) -> String {
    let route = |n: usize| {
        format!(
            "[[routes]]\nname = \"r{n}\"\nmatch = {{ ports = [{port}], domains = [\"h{n}.test\"] }}\n\
             action = {{ forward = [\"127.0.0.1:{target}\"] }}\n{more}\n"
        )
    };
    (0..count).map(route).collect()
}

#[test]
fn thousands_of_routes_are_not_each_compared_with_thousands() {
    let listener =
        "[[listeners]]\nbind = [\"127.0.0.1\"]\naccept_proxy = { required = [\"127.0.0.1/32\"] }\n";
    let outer = named_routes(1100, 8443, 9443, SENDS);
    let fits = named_routes(1100, 9443, 10443, "");
    let late = named_routes(1100, 9443, 10443, "timeouts = { inactivity_timeout = \"10m\" }");
    // More than a million pairs of names.
    let between = compared(&outer, &format!("{listener}{fits}"));
    assert_eq!((between.routes, between.outer.len(), between.inner.len()), (1100, 0, 0));
    let between = compared(&outer, &format!("{listener}{late}"));
    assert_eq!((between.outer.len(), between.inner.len()), (0, 51), "more than fifty, and which");
    let elsewhere = late.replace(".test", ".example");
    let between = compared(&outer, &format!("{listener}{elsewhere}"));
    assert_eq!(between.inner.len(), 0);
    assert!(between.outer.iter().next().unwrap().title.starts_with("there are too many routes to compare"));
}
