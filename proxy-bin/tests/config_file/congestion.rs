//! Congestion controls: what is no name, and what this machine does not have.

use insta::assert_snapshot;
use proxy_bin::config::{Config, ConfigErrors, Ink};
use proxy_core::Congestion;
use proxy_core::congestion::permitted;

use crate::{ROUTE, before_route, good};

/// Why a file does not suit this machine, whatever that permits.
fn unsuited(text: &str) -> String {
    let errors: ConfigErrors = good(text).suits_this_machine().expect_err("it does not suit");
    let names: Vec<_> = permitted().iter().map(ToString::to_string).collect();
    assert!(!names.is_empty(), "Linux permits one at least");
    errors.render(Ink::Plain).replace(&names.join(", "), "THOSE")
}

fn congestions(config: &Config) -> (Congestion, Vec<String>) {
    (
        config.settings.egress.congestion,
        config.settings.listeners.iter().map(|at| format!("{} {}", at.label, at.congestion)).collect(),
    )
}

#[test]
fn a_listener_has_that_of_the_whole_unless_it_has_its_own() {
    let listeners =
        "[[listeners]]\nbind = [\"127.0.0.1\"]\ncongestion = \"system\"\n[[listeners]]\nbind = [\"::1\"]\n";
    let both = |all: &str| vec!["127.0.0.1:8080 system".to_owned(), format!("[::1]:8080 {all}")];
    assert_eq!(congestions(&good(ROUTE)), (Congestion::Auto, vec!["*:8080 auto".to_owned()]));
    assert_eq!(congestions(&good(&format!("{listeners}{ROUTE}"))), (Congestion::Auto, both("auto")));
    let cubic = good(&format!("congestion = \"cubic\"\n{listeners}{ROUTE}"));
    assert_eq!(congestions(&cubic), (Congestion::Named("cubic".parse().unwrap()), both("cubic")));
}

#[test]
fn what_is_no_name() {
    assert_snapshot!(before_route("congestion = \"bbr v3\""), @r#"
error: expected "auto", "system" or the name of a congestion control such as "cubic", found `bbr v3`
 --> proxy.toml:1:14
  |
1 | congestion = "bbr v3"
  |              ^^^^^^^^
"#);
    assert_snapshot!(before_route("[[listeners]]\ncongestion = true"), @r#"
error: expected "auto", "system" or the name of a congestion control such as "cubic"
 --> proxy.toml:2:14
  |
2 | congestion = true
  |              ^^^^ this is the boolean true
"#);
}

#[test]
fn what_the_kernel_does_not_have() {
    let listener = "[[listeners]]\nbind = [\"127.0.0.1\"]\ncongestion = \"no-such-thing\"\n";
    assert_snapshot!(unsuited(&format!("congestion = \"cubik\"\n{listener}{ROUTE}")), @r#"
error: the kernel has no congestion control "cubik": it permits THOSE
 --> proxy.toml:1:14
  |
1 | congestion = "cubik"
  |              ^^^^^^^
  |
  = help: write one of those, "auto" or "system"; it may be a module that is not loaded: modprobe tcp_cubik

error: the kernel has no congestion control "no-such-thing": it permits THOSE
 --> proxy.toml:4:14
  |
4 | congestion = "no-such-thing"
  |              ^^^^^^^^^^^^^^^
  |
  = help: write one of those, "auto" or "system"; it may be a module that is not loaded: modprobe tcp_no-such-thing
"#);
}

#[test]
fn what_every_kernel_has() {
    for name in ["auto", "system", "reno"] {
        good(&format!("congestion = \"{name}\"\n{ROUTE}")).suits_this_machine().unwrap();
    }
}

/// Root may use it, but will not be root.
#[test]
fn what_is_not_permitted_to_whom_the_process_will_be() {
    let all = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
    let permitted: Vec<_> = permitted().iter().map(ToString::to_string).collect();
    let Some(other) = all.split_whitespace().find(|name| permitted.iter().all(|one| one != name)) else {
        println!("skipped: everybody may use every congestion control of this kernel: {all}");
        return;
    };
    let text = format!("congestion = \"{other}\"\n[process]\nuser = \"nobody\"\n{ROUTE}");
    let said = unsuited(&text);
    let title =
        format!("error: the kernel does not permit the congestion control \"{other}\": it permits THOSE");
    let help = "or add it to net.ipv4.tcp_allowed_congestion_control: see sysctl(8)";
    assert!(said.starts_with(&title) && said.contains("proxy.toml:1:14") && said.ends_with(help), "{said}");
}
