//! Configurations that many scenarios share: one listener, and one route with all targets.
//!
//! `settings` are lines (TOML) at the start. The route is last, so what is appended to the text belongs to it. A scenario that
//! needs anything else writes its own.

use std::fmt::Display;

/// Lets a crowd come from one address. A [`Hop`](crate::Hop) has it anyway, unless its configuration speaks of it.
pub(crate) const CROWD: &str =
    "limits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = \"off\"\n";

/// A breaker that forgives as fast as a target is back.
pub const FORGIVING: &str =
    r#"breaker = { failures_in_a_row = 3, cool_down = "100ms", longest_cool_down = "100ms" }"#;

/// A hop by itself: clients come to its first port, and no PROXY header is read or sent.
#[must_use]
pub fn single(settings: &str, targets: &[&dyn Display]) -> String {
    one_route(settings, r#"bind = ["127.0.0.1"]"#, "only", targets)
}

/// What a hop says to another of ours.
pub(crate) const TO_OURS: &str = "send_proxy = \"v2\"\nnext_hop = \"smartproxy\"\n";

/// The hop that clients come to: it sends PROXY v2 to `inner`, which is one of ours.
#[must_use]
pub fn outer(settings: &str, inner: &[&dyn Display]) -> String {
    let listener = r#"bind = ["127.0.0.1", "::1"]"#;
    one_route(settings, listener, "outer", inner) + TO_OURS
}

/// The hop behind another on this machine: it demands a PROXY header, and sends none.
#[must_use]
pub fn inner(settings: &str, targets: &[&dyn Display]) -> String {
    let listener = "bind = [\"127.0.0.1\"]\naccept_proxy = { required = [\"127.0.0.1/32\"] }";
    one_route(settings, listener, "inner", targets)
}

/// A route called `name` for the first port, on which `listener` says how it is listened.
fn one_route(settings: &str, listener: &str, name: &str, targets: &[&dyn Display]) -> String {
    let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let targets = targets.join(", ");
    format!(
        r#"
        {settings}
        [[listeners]]
        ports = [PORT_A]
        {listener}
        [[routes]]
        name = "{name}"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = [{targets}] }}
        "#
    )
}
