//! Deadlines that are over before the route of a connection is known, and with it the pool: only `[timeouts]` has them.

use proxy_conn::DeadlineOverrides;

use super::document::Place;
use super::finding::Finding;

/// An error for each of them in the table `timeouts` at this place, which is a route or a pool.
pub(super) fn check(
    timeouts: &DeadlineOverrides,
    owner: &str,
    place: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let early = [
        ("proxy_header_timeout", timeouts.proxy_header_timeout),
        ("initial_data_timeout", timeouts.initial_data_timeout),
    ];
    for (key, _) in early.iter().filter(|(_, bound)| bound.is_some()) {
        findings.push(
            Finding::new(place.span_of_key(key), format!("`{key}` has no effect in a {owner}"))
                .help(format!("these phases end before the {owner} is known: set it in `[timeouts]`")),
        );
    }
}
