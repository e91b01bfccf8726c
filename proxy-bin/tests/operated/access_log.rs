//! Where the lines of connections go, and which of them.

use rustix::process::Signal;

use crate::eventually;
use crate::running::{Running, converse, objects_with};

const ROUTE: &str = r#"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// One route whose second connection at a time is refused.
const NARROW: &str = r#"
[limits]
connections_per_client = "off"
connections_per_client_per_minute = 1
"#;

fn ends(lines: &str) -> Vec<serde_json::Value> {
    objects_with(lines, "total_s")
}

#[test]
fn a_file_gets_them_whatever_the_level_is_and_a_signal_rotates_it() {
    let log = "[log]\nlevel = \"warn\"\naccess = { file = \"DIR/access.log\" }\naccess_format = \"json\"\n";
    let proxy =
        Running::start_by(std::process::Command::new(crate::running::BINARY), &format!("{log}{ROUTE}"));
    eventually("it listens", || converse(proxy.addr()).is_ok());
    eventually("its end is written", || ends(&proxy.read("access.log")).len() == 1);
    let moved = proxy.dir.path().join("access.log.1");
    std::fs::rename(proxy.dir.path().join("access.log"), &moved).unwrap();
    proxy.converse();
    eventually("the old file is still written to", || ends(&proxy.read("access.log.1")).len() == 2);
    proxy.signal(Signal::USR1);
    eventually("there is a new file", || proxy.dir.path().join("access.log").exists());
    proxy.converse();
    eventually("it is written to", || ends(&proxy.read("access.log")).len() == 1);
    assert_eq!(ends(&proxy.read("access.log.1")).len(), 2);
    assert_eq!(proxy.output(), "", "nothing else is worth a warning");
}

#[test]
fn standard_output_gets_them_alone() {
    let proxy = Running::start(&format!("[log]\naccess = \"stdout\"\n{ROUTE}"));
    proxy.converse();
    proxy.says("out: ");
    let (out, rest): (Vec<_>, Vec<_>) =
        proxy.output().lines().map(str::to_owned).partition(|line| line.starts_with("out: "));
    assert_eq!(out.len(), 1, "{out:?}");
    assert!(out[0].contains("connection ended") && out[0].contains("cause=\"finished\""), "{out:?}");
    assert!(rest.iter().all(|line| !line.contains("connection ended")), "{rest:?}");
}

#[test]
fn a_file_that_cannot_be_opened_refuses_the_start() {
    let mut proxy = Running::start_by(
        std::process::Command::new(crate::running::BINARY),
        &format!("[log]\naccess = {{ file = \"DIR/nowhere/access.log\" }}\n{ROUTE}"),
    );
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("cannot open the log file");
    proxy.says("nowhere/access.log: No such file or directory");
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = r#"
[log]
format = "json"
[[log.access_rules]]
causes = ["finished"]
clients = ["127.0.0.0/8"]
max_lifetime = "1h"
keep = "none"
[[log.access_rules]]
keep = "all"
"#;
    let mut proxy = Running::start(&format!("{rules}{ROUTE}"));
    for _ in 0..5 {
        proxy.converse();
    }
    let left = std::net::TcpStream::connect(proxy.addr()).unwrap();
    eventually("the last one is served", || {
        drop((&left, std::io::Write::write(&mut &left, b"x")));
        let mut byte = [0];
        std::io::Read::read(&mut &left, &mut byte).is_ok_and(|n| n == 1)
    });
    proxy.signal(Signal::TERM);
    proxy.says("stopped accepting");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 4);
    let causes: Vec<_> = ends(&proxy.output()).iter().map(|line| line["cause"].clone()).collect();
    assert_eq!(causes, ["shutdown"]);
}

/// The part is drawn by the id, so two hops draw the same: the inner one keeps the line of each connection whose line the
/// outer one kept, and no other.
#[test]
fn both_hops_keep_the_lines_of_the_same_connections() {
    let rule = "[log]\nformat = \"json\"\n[[log.access_rules]]\nkeep = \"1/3\"\n[limits]\nconnections_per_client_per_minute = \"off\"\n";
    let inner = Running::start(&format!(
        "{rule}{}",
        ROUTE.replace(
            "bind = [\"127.0.0.1\"]",
            "bind = [\"127.0.0.1\"]\naccept_proxy = { required = [\"127.0.0.1\"] }"
        )
    ));
    let outer = Running::start(&format!(
        "{rule}{}send_proxy = \"v2\"\n",
        ROUTE.replace("BACKEND", &inner.addr().to_string())
    ));
    for _ in 0..60 {
        outer.converse();
    }
    let kept = |proxy: &Running, field: &str| {
        let mut ids: Vec<_> = ends(&proxy.output()).iter().map(|line| line[field].to_string()).collect();
        ids.sort_unstable();
        ids
    };
    eventually("both have written", || {
        let outer = kept(&outer, "id");
        !outer.is_empty() && outer == kept(&inner, "previous")
    });
    let count = kept(&outer, "id").len();
    assert!((5..40).contains(&count), "a third of 60, by chance: {count}");
    assert!(ends(&outer.output()).iter().all(|line| line["one_of"] == 3));
}

#[test]
fn a_storm_of_refusals_is_counted() {
    let mut proxy = Running::start(&format!("[log]\nformat = \"json\"\n{NARROW}{ROUTE}"));
    let refused = (0..200).filter(|_| converse(proxy.addr()).is_err()).count();
    assert!(refused >= 198, "{refused}");
    proxy.signal(Signal::TERM);
    proxy.exit_code();
    let lines = proxy.output();
    let written = ends(&lines).iter().filter(|line| line["cause"] == "client_rate").count();
    let counts = objects_with(&lines, "times");
    let counted: u64 = counts.iter().filter_map(|line| line["times"].as_u64()).sum();
    assert_eq!(written + usize::try_from(counted).unwrap(), refused, "{lines}");
    assert!((10..50).contains(&written), "{written}");
    let listener = proxy.addr().to_string();
    let alike = |line: &serde_json::Value| line["cause"] == "client_rate" && line["listener"] == *listener;
    assert!(counts.iter().all(alike), "{counts:?}");
}

/// They are refused for nothing and cost whoever makes them nothing, so their lines would fill a disk.
#[test]
fn a_storm_of_connections_that_end_before_they_have_a_route_is_counted() {
    const STORM: usize = 300;
    let named = ROUTE.replace("ports = [PORT] }", "ports = [PORT], domains = [\"a.test\"] }");
    assert_ne!(named, ROUTE);
    let mut proxy = Running::start(&format!("[log]\nformat = \"json\"\n{named}"));
    for n in 0..STORM {
        let stream = std::net::TcpStream::connect(proxy.addr()).unwrap();
        if n % 2 == 0 {
            socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
    }
    proxy.signal(Signal::TERM);
    proxy.exit_code();
    let lines = proxy.output();
    let counted: u64 = objects_with(&lines, "times").iter().filter_map(|line| line["times"].as_u64()).sum();
    let written = ends(&lines).len();
    assert!(written < 100, "{written}");
    assert_eq!(written + usize::try_from(counted).unwrap(), STORM, "{lines}");
}

#[test]
fn a_rule_keeps_every_one_of_a_storm() {
    let rule = "[log]\nformat = \"json\"\n[[log.access_rules]]\nkeep = \"all\"\n";
    let mut proxy = Running::start(&format!("{rule}{NARROW}{ROUTE}"));
    let refused = (0..50).filter(|_| converse(proxy.addr()).is_err()).count();
    proxy.signal(Signal::TERM);
    proxy.exit_code();
    let lines = proxy.output();
    assert_eq!(ends(&lines).iter().filter(|line| line["cause"] == "client_rate").count(), refused, "{lines}");
}

#[test]
fn a_reload_moves_them_or_is_refused() {
    let log = |access: &str| format!("[log]\naccess = {access}\n{ROUTE}");
    let proxy = Running::start(&log("\"off\""));
    proxy.converse();
    proxy.rewrite(&log("{ file = \"DIR/nowhere/access.log\" }"));
    proxy.signal(Signal::HUP);
    proxy.says("not reloaded, nothing has changed: cannot open the log file");
    proxy.rewrite(&log("{ file = \"DIR/access.log\" }"));
    proxy.signal(Signal::HUP);
    proxy.says("reloaded: the new configuration is in force");
    proxy.converse();
    eventually("its end is written", || proxy.read("access.log").lines().count() == 1);
    assert!(!proxy.output().contains("connection ended"), "{}", proxy.output());
}
