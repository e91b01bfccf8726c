//! Keys as other proxies call them.

/// What they call it, and what it is called here.
const NAMES: [(&str, &str); 34] = [
    ("idle", "inactivity_timeout"),
    ("idle_timeout", "inactivity_timeout"),
    ("client", "inactivity_timeout"),
    ("server", "inactivity_timeout"),
    ("tunnel", "inactivity_timeout"),
    ("proxy_timeout", "inactivity_timeout"),
    ("connect", "connection_timeout"),
    ("connect_timeout", "connection_timeout"),
    ("dial", "connection_timeout"),
    ("dial_timeout", "connection_timeout"),
    ("proxy_connect_timeout", "connection_timeout"),
    ("client_fin", "half_closed_timeout"),
    ("server_fin", "half_closed_timeout"),
    ("fin", "half_closed_timeout"),
    ("inspect_delay", "initial_data_timeout"),
    ("preread_timeout", "initial_data_timeout"),
    ("maxconn", "max_connections"),
    ("max_conns", "max_connections"),
    ("backend", "forward"),
    ("upstream", "forward"),
    ("server", "to"),
    ("target", "to"),
    ("address", "to"),
    ("servers", "members"),
    ("targets", "members"),
    ("endpoints", "members"),
    ("backends", "members"),
    ("algorithm", "balance"),
    ("lb_policy", "balance"),
    ("policy", "balance"),
    ("slowstart", "slow_start"),
    ("slow_start_window", "slow_start"),
    ("maxconn", "max_connections_per_member"),
    ("max_connections_per_target", "max_connections_per_member"),
];

/// What is called `name` elsewhere, if it is among the keys that are `known` here.
pub(super) fn meant<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace(['-', '.'], "_");
    let mut meant = NAMES.iter().filter(|(other, _)| *other == name).map(|(_, meant)| meant);
    meant.find_map(|meant| known.iter().find(|key| *key == meant).copied())
}
