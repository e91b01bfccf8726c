//! Keys as other proxies call them.

/// What they call it, and what it is called here.
const NAMES: [(&str, &str); 20] = [
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
];

/// What is called `name` elsewhere, if it is among the keys that are `known` here.
pub(super) fn meant<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace(['-', '.'], "_");
    let (_, meant) = NAMES.iter().find(|(other, _)| *other == name)?;
    known.iter().find(|key| *key == meant).copied()
}
