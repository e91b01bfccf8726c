//! `/metrics`: every family has a help and a type, names follow the conventions, and the figures are the proxy's.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::eventually;
use crate::world::World;

/// The samples by name and labels.
fn samples(text: &str) -> HashMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut samples = HashMap::new();
    for line in lines {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let before = samples.insert(name.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "{name} is there twice");
    }
    samples
}

fn scrape(world: &World) -> String {
    let reply = world.at().get("/metrics");
    assert_eq!(
        (reply.status, &*reply.headers["content-type"]),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    reply.body
}

#[test]
fn the_figures_are_those_of_the_proxy() {
    let world = World::new();
    let mut clients = world.clients(3);
    drop(clients.pop());
    world.outer.has(2);
    let samples = samples(&scrape(&world));
    let target = format!("route=\"web\",target=\"{}\"", world.inner.addr);
    for (name, value) in [
        ("smartproxy_connections{phase=\"relay\",pool=\"chain\"}", 2.0),
        ("smartproxy_connections{phase=\"dial\",pool=\"direct\"}", 0.0),
        ("smartproxy_connections_opened_total", 3.0),
        ("smartproxy_connections_ended_total{cause=\"finished\"}", 1.0),
        ("smartproxy_connections_ended_total{cause=\"killed\"}", 0.0),
        ("smartproxy_connection_age_seconds_count", 2.0),
        ("smartproxy_lifetime_seconds_count", 1.0),
        ("smartproxy_phase_seconds_count{phase=\"relay\"}", 1.0),
        ("smartproxy_bytes_total{direction=\"from_client\"}", 15.0),
        ("smartproxy_bytes_total{direction=\"from_backend\"}", 15.0),
        (&format!("smartproxy_dial_seconds_count{{{target}}}"), 3.0),
        (&format!("smartproxy_dial_seconds_bucket{{le=\"+Inf\",{target}}}"), 3.0),
        (&format!("smartproxy_dials_failed_total{{{target},why=\"timeout\"}}"), 0.0),
        (&format!("smartproxy_breaker_state{{{target}}}"), 0.0),
        (&format!("smartproxy_target_connections_opened_total{{{target}}}"), 3.0),
        (&format!("smartproxy_target_connections_ended_total{{{target},class=\"finished\"}}"), 1.0),
        (&format!("smartproxy_target_connections_ended_total{{{target},class=\"passed_on\"}}"), 0.0),
        (&format!("smartproxy_target_first_byte_seconds_count{{{target}}}"), 1.0),
        ("smartproxy_route_connections{route=\"web\"}", 2.0),
        ("smartproxy_route_connections_opened_total{route=\"web\"}", 3.0),
        ("smartproxy_route_connections_ended_total{route=\"web\",class=\"finished\"}", 1.0),
        ("smartproxy_route_connections_ended_total{route=\"web\",class=\"backend\"}", 0.0),
        ("smartproxy_route_connections_failed_total{route=\"web\"}", 0.0),
        ("smartproxy_route_first_byte_seconds_count{route=\"web\"}", 1.0),
        ("smartproxy_route_dial_seconds_count{route=\"web\"}", 1.0),
        ("smartproxy_route_lifetime_seconds_count{route=\"web\"}", 1.0),
        (&format!("smartproxy_listener_connections_opened_total{{listener=\"{}\"}}", world.outer.addr), 3.0),
        ("smartproxy_pool_connections_opened_total{pool=\"chain\"}", 3.0),
        ("smartproxy_pool_connections_opened_total{pool=\"direct\"}", 0.0),
        ("smartproxy_first_byte_seconds_count", 1.0),
        ("smartproxy_queue_wait_seconds_count", 0.0),
        ("smartproxy_permits_high_water{limit=\"all connections\"}", 3.0),
        ("smartproxy_overload_level{pool=\"chain\"}", 0.0),
        ("smartproxy_permits_in_use{limit=\"all connections\"}", 2.0),
        (&format!("smartproxy_permits_most{{limit=\"listener {}\"}}", world.outer.addr), 500.0),
        ("smartproxy_refusals_total{limit=\"client_rate\"}", 0.0),
        ("smartproxy_audit_findings{gauge=\"zombies\"}", 0.0),
        ("smartproxy_audit_blind", 0.0),
        ("smartproxy_config_generation", 1.0),
        ("smartproxy_config_last_reload_successful", 1.0),
        ("smartproxy_log_lines_lost_total", 0.0),
        ("smartproxy_ready", 1.0),
        ("smartproxy_build_info{version=\"0.1.0\",profile=\"debug\"}", 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
    for name in [
        "process_open_fds",
        "process_max_fds",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "smartproxy_allocated_bytes",
        "smartproxy_worker_busy_seconds_total{worker=\"1\"}",
        "smartproxy_config_last_reload_timestamp_seconds",
    ] {
        assert!(samples[name] > 0.0, "{name}");
    }
    assert!(samples.contains_key("smartproxy_event_loop_lag_seconds{worker=\"0\"}"));
}

#[test]
fn bytes_of_a_route_are_those_of_open_connections_too() {
    let world = World::new();
    let mut clients = world.clients(3);
    drop(clients.pop());
    world.outer.has(2);
    let bytes = "smartproxy_route_bytes_total{route=\"web\",direction=\"from_backend\"}";
    let read = || samples(&scrape(&world))[bytes];
    assert!(read() >= 5.0, "of the one that has ended, at once");
    eventually("those that are open are looked at", || read() >= 15.0);
    drop(clients);
    world.outer.has(0);
    assert_eq!(read(), 15.0, "each is counted once");
}

#[test]
fn refusals_are_counted_by_their_limit() {
    let world = World::with("", "max_connections = 1");
    let _first = world.client();
    let refused = "smartproxy_refusals_total{limit=\"route\"}";
    eventually("the second one is refused", || {
        drop(std::net::TcpStream::connect(world.outer.addr).unwrap());
        samples(&scrape(&world))[refused] >= 1.0
    });
}

#[test]
fn every_family_is_described_and_named_as_is_usual() {
    let world = World::new();
    let _client = world.client();
    let text = scrape(&world);
    let (mut helped, mut types) = (HashSet::new(), HashMap::new());
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(!help.is_empty() && helped.insert(name), "{line}");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            assert!(helped.contains(name) && types.insert(name, kind).is_none(), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.filter(|family| types.get(family) == Some(&"histogram")).unwrap_or(name);
            assert!(types.contains_key(family), "{line}");
        }
    }
    assert!(types.keys().all(|name| name.starts_with("smartproxy_") || name.starts_with("process_")));
    assert!(types.len() > 30, "{types:?}");
}

#[test]
fn histograms_add_up() {
    let world = World::new();
    drop(world.clients(4));
    world.outer.has(0);
    let (text, mut last, mut seen) = (scrape(&world), HashMap::new(), 0);
    let all = samples(&text);
    for line in text.lines().filter(|line| line.contains("_bucket{")) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (value, (family, labels)) = (value.parse::<f64>().unwrap(), name.split_once("_bucket{").unwrap());
        let (bound, rest) =
            labels.trim_end_matches('}').split_once(',').unwrap_or((labels.trim_end_matches('}'), ""));
        let series = if rest.is_empty() { family.to_owned() } else { format!("{family}:{rest}") };
        let before = last.insert(series, value).unwrap_or(0.0);
        assert!(value >= before, "{line}");
        if bound == "le=\"+Inf\"" {
            let count =
                if rest.is_empty() { format!("{family}_count") } else { format!("{family}_count{{{rest}}}") };
            assert_eq!(all[&count], value, "{line}");
            seen += 1;
        }
    }
    assert!(seen >= 8, "age, lifetime, five phases, one target: {seen}");
}

#[test]
fn whoever_asks_for_open_metrics_gets_it() {
    let world = World::new();
    let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let reply = world.at().ask("GET", "/metrics", &[accept], "");
    assert_eq!(reply.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(
        reply.body.ends_with("# EOF\n") && reply.body.contains("# UNIT smartproxy_dial_seconds seconds\n")
    );
    assert!(
        reply
            .body
            .contains("# TYPE smartproxy_connections_opened counter\nsmartproxy_connections_opened_total 0")
    );
    assert!(reply.body.contains("# TYPE smartproxy_connection_age_seconds gaugehistogram\n"));
    assert!(reply.body.contains("\nsmartproxy_connection_age_seconds_gcount 0\n"));
}

#[test]
fn promtool_finds_nothing_to_say() {
    let world = World::new();
    let _client = world.client();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        return eprintln!("skipped: promtool is not installed (Debian: apt-get install prometheus)");
    };
    promtool.stdin.take().unwrap().write_all(scrape(&world).as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
}
