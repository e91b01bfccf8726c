//! Sources, interfaces and marks: what is none, what does not go together, and what this machine lacks.

use insta::assert_snapshot;
use proxy_bin::config::Ink;

use crate::{ROUTE, before_route, good, in_route, refusal};

#[test]
fn what_is_no_source() {
    assert_snapshot!(before_route("source = \"192.0.2.1\""), @r#"
error: source addresses are a list
 --> proxy.toml:1:10
  |
1 | source = "192.0.2.1"
  |          ^^^^^^^^^^^
  |
  = help: write ["192.0.2.1"]
"#);
    assert_snapshot!(before_route("source = [\"192.0.2.1\", \"eth0\"]"), @r#"
error: expected an IP address such as "192.0.2.10" or a network such as "2001:db8::/64", found `eth0`
 --> proxy.toml:1:24
  |
1 | source = ["192.0.2.1", "eth0"]
  |                        ^^^^^^
"#);
    assert_snapshot!(before_route("source = [\"2001:db8::1/64\"]"), @r#"
error: `2001:db8::1/64` is an address within a network
 --> proxy.toml:1:11
  |
1 | source = ["2001:db8::1/64"]
  |           ^^^^^^^^^^^^^^^^
  |
  = help: write "2001:db8::/64" for all of them, or the address alone
"#);
    assert_snapshot!(in_route("source = []"), @r#"
error: a list of source addresses has at least one: to leave the choice to the kernel, write "auto"
 --> proxy.toml:6:10
  |
6 | source = []
  |          ^^
"#);
    assert_snapshot!(in_route("source = \"clients\""), @r#"
error: expected a list of addresses and networks such as ["192.0.2.10", "2001:db8::/64"], "client" or "auto", found `clients`
 --> proxy.toml:6:10
  |
6 | source = "clients"
  |          ^^^^^^^^^
"#);
    assert_snapshot!(in_route("interface = \"a/b\""), @r#"
error: expected the name of a network interface such as "eth1" (1 to 15 bytes), found `a/b`
 --> proxy.toml:6:13
  |
6 | interface = "a/b"
  |             ^^^^^
"#);
    assert_snapshot!(in_route("mark = 0"), @r#"
error: expected a whole number from 1 to 4294967295
 --> proxy.toml:6:8
  |
6 | mark = 0
  |        ^ this is the number 0
"#);
}

#[test]
fn a_unix_socket_has_none() {
    let route = ROUTE.replace("\"127.0.0.1:3000\"", "\"unix:/run/app.sock\"");
    assert_ne!(route, ROUTE);
    assert_snapshot!(refusal(&format!("{route}source = \"client\"\nmark = 1\n")), @r#"
error: route "web" has a Unix socket among its targets, which has no `source`
 --> proxy.toml:6:10
  |
6 | source = "client"
  |          ^^^^^^^^ this is for connections over TCP
  |
  = help: take it out, or give the Unix socket a route or a group of its own

error: route "web" has a Unix socket among its targets, which has no `mark`
 --> proxy.toml:7:8
  |
7 | mark = 1
  |        ^ this is for connections over TCP
  |
  = help: take it out, or give the Unix socket a route or a group of its own
"#);
    good(&format!("source = [\"127.0.0.1\"]\n{route}"));
    let group = "[groups.inner]\nmembers = [\"unix:/run/app.sock\"]\nmark = 1\n";
    let error = refusal(&format!("{group}{}", ROUTE.replace("[\"127.0.0.1:3000\"]", "\"@inner\"")));
    assert!(
        error.contains("group \"inner\" has a Unix socket among its targets, which has no `mark`"),
        "{error}"
    );
}

#[test]
fn a_route_has_those_of_the_whole_unless_it_has_its_own() {
    let config = good(&format!("source = [\"192.0.2.1\"]\ninterface = \"lo\"\n{ROUTE}mark = 7\n"));
    let route = config.settings.routes.route(0).unwrap().payload;
    let own = route.egress.as_ref().unwrap();
    let said = (own.source.to_string(), own.interface.as_ref().unwrap().as_str(), own.mark.unwrap().get());
    assert_eq!(said, ("[\"192.0.2.1\"]".to_owned(), "lo", 7));
    let plain = good(&format!("source = \"client\"\n{ROUTE}"));
    assert!(plain.settings.routes.route(0).unwrap().payload.egress.is_none());
}

#[test]
fn what_is_not_here_is_a_warning() {
    let text = format!("source = [\"127.0.0.1\", \"192.0.2.77\"]\n{ROUTE}interface = \"no-such-if0\"\n");
    assert_snapshot!(good(&text).egress_awaited().render(Ink::Plain), @r#"
warning: the source 192.0.2.77 is no address of this machine: add it (`ip addr add 192.0.2.77 dev …`), or take it out of `source`
 --> proxy.toml:1:10
  |
1 | source = ["127.0.0.1", "192.0.2.77"]
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^

warning: there is no network interface "no-such-if0" here: `ip link` lists them
 --> proxy.toml:7:13
  |
7 | interface = "no-such-if0"
  |             ^^^^^^^^^^^^^
"#);
    assert!(good(ROUTE).egress_awaited().is_empty());
}

#[test]
fn a_congestion_control_of_a_route_and_of_a_group() {
    let text = format!(
        "congestion = \"system\"\n{ROUTE}congestion = \"reno\"\n[groups.g]\nmembers = [\"127.0.0.1:1\"]\ncongestion = \"auto\"\n"
    );
    let config = good(&text);
    let route = config.settings.routes.route(0).unwrap().payload;
    assert_eq!(config.settings.egress.congestion.to_string(), "system");
    assert_eq!(route.egress.as_ref().unwrap().congestion.to_string(), "reno");
    assert_eq!(config.settings.groups[0].options.egress.as_ref().unwrap().congestion.to_string(), "auto");
    let lacking = good(&format!("{ROUTE}congestion = \"none_such\"\n")).suits_this_machine().unwrap_err();
    assert!(lacking.to_string().contains("none_such"), "{lacking}");
}
