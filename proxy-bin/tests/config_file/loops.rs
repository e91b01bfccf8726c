//! A route that forwards to the proxy's own port, and those that only look like it.

use insta::assert_snapshot;
use proxy_bin::config::Config;

/// A file with one route, from the bind address, what the match has beside port 8080, and the target.
fn file(bind: &str, matching: &str, target: &str) -> String {
    format!(
        "[[listeners]]\nbind = [\"{bind}\"]\n\n[[routes]]\nname = \"web\"\n\
         match = {{ ports = [8080, 9090]{matching} }}\naction = {{ forward = [\"10.9.9.9:80\", \"{target}\"] }}\n"
    )
}

fn is_loop(bind: &str, matching: &str, target: &str) -> bool {
    Config::parse(&file(bind, matching, target), "proxy.toml").is_err()
}

#[test]
fn the_own_port_is_refused() {
    let error = Config::parse(&file("dual", "", "127.0.0.1:8080"), "proxy.toml").unwrap_err();
    assert_snapshot!(error, @r#"
error: route "web" forwards to itself
 --> proxy.toml:7:38
  |
6 | match = { ports = [8080, 9090] }
  |                   ------------ which this route takes
7 | action = { forward = ["10.9.9.9:80", "127.0.0.1:8080"] }
  |                                      ^^^^^^^^^^^^^^^^ this is the proxy's own port 8080
  |
  = help: each connection would open another one without end: name the backend's address and port
"#);
}

#[test]
fn a_preserved_port_is_refused_with_the_port_it_would_be() {
    let error = Config::parse(&file("127.0.0.1", "", "localhost:preserve"), "proxy.toml").unwrap_err();
    assert_snapshot!(error, @r#"
error: route "web" forwards to itself
 --> proxy.toml:7:38
  |
6 | match = { ports = [8080, 9090] }
  |                   ------------ which this route takes
7 | action = { forward = ["10.9.9.9:80", "localhost:preserve"] }
  |                                      ^^^^^^^^^^^^^^^^^^^^ this is the proxy's own port 8080
  |
  = help: each connection would open another one without end: name the backend's address and port
"#);
}

#[test]
fn an_address_is_the_own_one_if_the_socket_takes_it() {
    for (bind, own, other) in [
        ("dual", "[::1]:8080", "10.0.0.1:8080"),
        ("0.0.0.0", "127.0.0.2:8080", "[::1]:8080"),
        ("::", "[::1]:8080", "127.0.0.1:8080"),
        ("10.0.0.1", "10.0.0.1:8080", "127.0.0.1:8080"),
        ("127.0.0.1", "0.0.0.0:8080", "127.0.0.2:8080"),
        ("127.0.0.1", "127.0.0.1:9090", "127.0.0.1:9091"),
        ("127.0.0.1", "localhost:8080", "unix:/run/8080"),
    ] {
        assert!(is_loop(bind, "", own), "{own} is {bind}");
        assert!(!is_loop(bind, "", other), "{other} is not {bind}");
    }
}

#[test]
fn it_is_a_loop_only_if_the_route_takes_the_connection_again() {
    assert!(is_loop("dual", ", domains = [\"*.a.com\"]", "127.0.0.1:8080"), "the name is passed on");
    assert!(is_loop("dual", ", alpn = [\"h2\"]", "127.0.0.1:8080"), "so is the protocol");
    assert!(is_loop("dual", ", clients = [\"127.0.0.0/8\"]", "127.0.0.1:8080"));
    assert!(
        !is_loop("dual", ", clients = [\"10.0.0.0/8\"]", "127.0.0.1:8080"),
        "the client is this machine then"
    );
}

#[test]
fn with_a_header_the_client_stays_the_same() {
    let text = file("dual", ", clients = [\"10.0.0.0/8\"]", "127.0.0.1:8080");
    for mode in ["required_from", "optional"] {
        let accept = format!("\naccept_proxy = {{ {mode} = [\"127.0.0.1\"] }}\n\n");
        let trusting = text.replacen("\n\n", &accept, 1);
        assert!(Config::parse(&trusting, "proxy.toml").is_ok());
        assert!(Config::parse(&format!("{trusting}send_proxy = \"v2\"\n"), "proxy.toml").is_err());
    }
    assert!(Config::parse(&format!("{text}send_proxy = \"v2\"\n"), "proxy.toml").is_ok());
}

#[test]
fn a_route_of_higher_priority_may_end_the_round() {
    let text = file("dual", "", "127.0.0.1:8080");
    let other = "[[routes]]\nname = \"inner\"\npriority = 1\naction = { forward = [\"10.0.0.1:80\"] }\n\
                 match = { ports = [8080], clients = [\"127.0.0.0/8\"] }\n";
    assert!(Config::parse(&format!("{text}{other}"), "proxy.toml").is_ok());
}

/// Routes on ports of this machine, each with the port it takes and the one it forwards to.
fn ring(routes: &[(&str, u16, u16)]) -> String {
    let route = |(name, from, to): &(&str, u16, u16)| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [{from}] }}\naction = {{ forward = [\"127.0.0.1:{to}\"] }}\n"
        )
    };
    routes.iter().map(route).collect()
}

#[test]
fn a_ring_of_routes_is_refused_once() {
    let three = ring(&[("in", 80, 18300), ("a", 18300, 18301), ("b", 18301, 18302), ("c", 18302, 18300)]);
    assert_snapshot!(Config::parse(&three, "proxy.toml").unwrap_err(), @r#"
error: routes "a", "b", "c" forward to each other without end
  --> proxy.toml:8:23
   |
 8 | action = { forward = ["127.0.0.1:18301"] }
   |                       ^^^^^^^^^^^^^^^^^ this is the proxy's own port 18301
...
12 | action = { forward = ["127.0.0.1:18302"] }
   |                       ----------------- and this its port 18302
...
16 | action = { forward = ["127.0.0.1:18300"] }
   |                       ----------------- and this its port 18300
   |
   = help: each connection would open another one without end: name the backend's address and port
"#);
    let two_and_one = ring(&[("a", 18300, 18301), ("b", 18301, 18300), ("self", 18302, 18302)]);
    assert_eq!(Config::parse(&two_and_one, "proxy.toml").unwrap_err().findings().len(), 2);
}

#[test]
fn a_chain_in_one_file_has_an_end() {
    let chain = ring(&[("outer", 8001, 8002), ("inner", 8002, 8080)]);
    assert!(Config::parse(&chain, "proxy.toml").is_ok());
    let guarded = "[[listeners]]\nports = [8002]\naccept_proxy = { required = [\"127.0.0.1\"] }\n";
    let without_header = format!("{guarded}{}", ring(&[("a", 8001, 8002), ("b", 8002, 8001)]));
    assert!(Config::parse(&without_header, "proxy.toml").is_ok(), "cut off for want of a header");
    let with_header = without_header.replacen(":8002\"] }\n", ":8002\"] }\nsend_proxy = \"v2\"\n", 1);
    assert!(Config::parse(&with_header, "proxy.toml").is_err());
}

#[test]
fn a_ring_may_be_of_one_name_only() {
    let named = |domain: &str| {
        let both = ring(&[("a", 18300, 18301), ("b", 18301, 18300)]);
        both.replacen("[18300]", "[18300], domains = [\"*.a.com\"]", 1).replacen(
            "[18301]",
            &format!("[18301], domains = [\"{domain}\"]"),
            1,
        )
    };
    assert!(Config::parse(&named("x.a.com"), "proxy.toml").is_err());
    assert!(Config::parse(&named("x.b.com"), "proxy.toml").is_ok());
}

#[test]
fn every_target_that_leads_back_is_named() {
    let text = file("dual", "", "127.0.0.1:8080").replace("10.9.9.9:80", "127.0.0.1:9090");
    assert_eq!(Config::parse(&text, "proxy.toml").unwrap_err().findings().len(), 2);
}
