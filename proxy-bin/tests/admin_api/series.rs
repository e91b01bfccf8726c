//! Which series `/metrics` has: those of the configuration, whoever connects.

use std::collections::BTreeSet;

use crate::world::World;

/// Every label. Each has the values that the configuration or the program gives it.
const LABELS: [&str; 22] = [
    "rule",
    "class",
    "listener",
    "phase",
    "pool",
    "cause",
    "limit",
    "direction",
    "route",
    "target",
    "group",
    "why",
    "field",
    "gauge",
    "worker",
    "side",
    "kind",
    "source",
    "standing",
    "version",
    "profile",
    "le",
];

/// What the issue that asked for them lists, and what else there is: an alert or a dashboard may be about any.
const FAMILIES: [&str; 83] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
    "smartproxy_allocated_bytes",
    "smartproxy_audit_blind",
    "smartproxy_audit_findings",
    "smartproxy_audit_last_run_timestamp_seconds",
    "smartproxy_audit_rescues_total",
    "smartproxy_audits_total",
    "smartproxy_breaker_state",
    "smartproxy_build_info",
    "smartproxy_bytes_total",
    "smartproxy_certificate_not_after_timestamp_seconds",
    "smartproxy_certificates",
    "smartproxy_certificates_unusable",
    "smartproxy_config_generation",
    "smartproxy_config_last_reload_successful",
    "smartproxy_config_last_reload_timestamp_seconds",
    "smartproxy_connection_age_seconds",
    "smartproxy_connections",
    "smartproxy_connections_ended_total",
    "smartproxy_connections_opened_total",
    "smartproxy_dial_seconds",
    "smartproxy_dials_failed_total",
    "smartproxy_event_loop_lag_seconds",
    "smartproxy_findings",
    "smartproxy_first_byte_seconds",
    "smartproxy_group_member_connections",
    "smartproxy_group_member_share_percent",
    "smartproxy_group_member_state",
    "smartproxy_group_member_up",
    "smartproxy_group_member_weight",
    "smartproxy_header_fields_left_out_total",
    "smartproxy_lifetime_seconds",
    "smartproxy_listener_bytes_total",
    "smartproxy_listener_connections",
    "smartproxy_listener_connections_ended_total",
    "smartproxy_listener_connections_failed_total",
    "smartproxy_listener_connections_opened_total",
    "smartproxy_listener_connections_unanswered_total",
    "smartproxy_log_lines_lost_total",
    "smartproxy_overload_level",
    "smartproxy_permits_high_water",
    "smartproxy_permits_in_use",
    "smartproxy_permits_most",
    "smartproxy_phase_seconds",
    "smartproxy_pool_bytes_total",
    "smartproxy_pool_connections",
    "smartproxy_pool_connections_ended_total",
    "smartproxy_pool_connections_failed_total",
    "smartproxy_pool_connections_opened_total",
    "smartproxy_pool_connections_unanswered_total",
    "smartproxy_queue_wait_seconds",
    "smartproxy_ready",
    "smartproxy_refusals_total",
    "smartproxy_route_bytes_total",
    "smartproxy_route_connections",
    "smartproxy_route_connections_ended_total",
    "smartproxy_route_connections_failed_total",
    "smartproxy_route_connections_opened_total",
    "smartproxy_route_connections_unanswered_total",
    "smartproxy_route_dial_seconds",
    "smartproxy_route_first_byte_seconds",
    "smartproxy_route_lifetime_seconds",
    "smartproxy_route_sampled_connections",
    "smartproxy_route_sampled_retransmitting",
    "smartproxy_route_sampled_rtt_seconds",
    "smartproxy_route_sampled_unsent_bytes",
    "smartproxy_target_bytes_total",
    "smartproxy_target_connections",
    "smartproxy_target_connections_ended_total",
    "smartproxy_target_connections_failed_total",
    "smartproxy_target_connections_opened_total",
    "smartproxy_target_connections_unanswered_total",
    "smartproxy_target_first_byte_seconds",
    "smartproxy_tls_handshake_failures_total",
    "smartproxy_tls_handshakes_total",
    "smartproxy_waiting",
    "smartproxy_worker_busy_seconds_total",
];

/// A scrape, read as strictly as its format (0.0.4) is meant: a family is one piece, HELP, TYPE, series.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    families: BTreeSet<String>,
    /// Names and labels.
    series: BTreeSet<String>,
}

fn read(text: &str) -> Result<Read, String> {
    let (mut read, mut helped, mut family, mut kind) = (Read::default(), "", "", "");
    for line in text.lines() {
        let wrong = |why: &str| Err(format!("{why}: {line}"));
        if let Some((name, _)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            helped = name;
        } else if let Some((name, of)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            if helped != name {
                return wrong("no help");
            }
            (family, kind) = (name, of);
            if !read.families.insert(name.to_owned()) {
                return wrong("a family twice");
            }
        } else {
            let Some((series, value)) = line.rsplit_once(' ') else { return wrong("no value") };
            let name = series.split('{').next().unwrap_or_default();
            let end = name.strip_prefix(family).filter(|_| !family.is_empty());
            let ends: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            if !end.is_some_and(|end| ends.contains(&end)) {
                return wrong("of another family");
            }
            if !value.parse().is_ok_and(f64::is_finite) {
                return wrong("no number");
            }
            if !read.series.insert(series.to_owned()) {
                return wrong("a series twice");
            }
        }
    }
    Ok(read)
}

fn scrape(world: &World) -> Read {
    let text = world.at().get("/metrics").body;
    read(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// The names of a series' labels.
fn labels(series: &str) -> Vec<&str> {
    let (_, labels) = series.split_once('{').unwrap_or_default();
    let before = labels.split("=\"").map(|part| part.rsplit([',', '"', '{']).next().unwrap_or_default());
    before.filter(|name| !name.is_empty() && *name != "}").collect()
}

#[test]
fn who_connects_makes_no_series() {
    let world = World::new();
    let before = scrape(&world);
    drop(world.clients(20));
    world.outer.has(0);
    let clients = world.clients(20);
    let after = scrape(&world);
    assert_eq!(before, after);
    assert_eq!(after.families.iter().map(String::as_str).collect::<Vec<_>>(), FAMILIES);
    for series in &after.series {
        assert!(labels(series).iter().all(|label| LABELS.contains(label)), "{series}");
    }
    for client in &clients {
        let addr = client.local_addr().unwrap().to_string();
        assert!(!after.series.iter().any(|series| series.contains(&addr)), "{addr}");
    }
}

#[test]
fn what_is_wrong_with_a_scrape_is_seen() {
    let right = "# HELP a_total Of a.\n# TYPE a_total counter\na_total{x=\"1\",y=\"b\"} 2\na_total{x=\"2\",y=\"\"} 3\n";
    let series = read(right).unwrap().series;
    assert_eq!(labels(series.first().unwrap()), ["x", "y"]);
    for wrong in [
        "a 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a A.\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na one\n",
        "# HELP a A.\n# TYPE a gauge\na NaN\n",
        "# HELP a A.\n# TYPE a gauge\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# EOF\n",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
