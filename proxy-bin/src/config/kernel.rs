//! What the kernel would not take, or would do before the proxy does: found here, and not when the first connection
//! comes.

use proxy_core::{Bound, KeepAliveOverrides};
use proxy_route::RouteTable;

use super::document::{Document, Place};
use super::finding::{Finding, Span};
use super::route;
use proxy_dataplane::settings::PoolConfig;
use proxy_dataplane::settings::{Action, RouteConfig};

/// The longest idle time and interval of keepalive, in seconds (`MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL` of Linux).
const LONGEST_KEEPALIVE: u64 = 32_767;

/// The longest user timeout, in milliseconds: the kernel keeps it in a signed number of 32 bits.
const LONGEST_USER_TIMEOUT: u128 = i32::MAX as u128;

/// Checks one table of keepalive settings.
pub(super) fn check(settings: &KeepAliveOverrides, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    for (key, bound) in [("idle", settings.idle), ("interval", settings.interval)] {
        if let Some(title) = bound.and_then(keepalive) {
            findings.push(Finding::new(place.key(key).span(), title));
        }
    }
    let too_long = |bound: &Bound| bound.get().as_millis() > LONGEST_USER_TIMEOUT;
    if settings.user_timeout.as_ref().is_some_and(too_long) {
        let span = place.key("user_timeout").span();
        findings.push(Finding::new(span, "the kernel takes a user timeout of at most 24 days"));
    }
}

/// A warning for each pair of a `user_timeout` and a longer `write_stall_timeout` that some route has: where several
/// routes have both from further up, one. By default `user_timeout` is longer, so at least one of them was written.
pub(super) fn warnings(
    table: &RouteTable<RouteConfig>,
    pools: &[PoolConfig],
    document: &Document<'_>,
) -> Vec<Finding> {
    let forwards = |route: &RouteConfig| !matches!(route.action, Action::Refuse);
    let routes = table.routes().filter(|route| route.spec.enabled && forwards(route.payload));
    let both =
        routes.flat_map(|route| [(route.index, route.payload, false), (route.index, route.payload, true)]);
    let mut findings: Vec<Finding> = Vec::new();
    for (index, route, chained) in both {
        let choice = route.pool(chained);
        let (user, stall) = (route.keep_alive.user_timeout, choice.deadlines.write_stall_timeout);
        if user.get() >= stall.get() {
            continue;
        }
        let (root, place) = (document.root(), route::place(document, index));
        let pool = pools.get(choice.place.index()).map_or("", |pool| &*pool.name);
        let users = [&place, &root].map(|layer| layer.key("keep_alive").key("user_timeout"));
        let stalls = [&place, &root.key("pools").named(pool), &root]
            .map(|layer| layer.key("timeouts").key("write_stall_timeout"));
        let written = |layers: &[Place<'_, '_>]| layers.iter().find(|layer| layer.exists()).map(Place::span);
        findings.extend(too_short((written(&users), user), (written(&stalls), stall)));
    }
    findings.sort_by_key(|finding| (finding.span.start, finding.beside.first().map(|(span, _)| span.start)));
    findings.dedup();
    findings
}

/// That the kernel ends a connection before its deadline does, pointing at what was written.
fn too_short(user: (Option<Span>, Bound), stall: (Option<Span>, Bound)) -> Option<Finding> {
    let title = format!("`user_timeout` ({}) is shorter than `write_stall_timeout` ({})", user.1, stall.1);
    let finding = match (user.0, stall.0) {
        (Some(user), Some(stall)) => Finding::new(user, title).beside(stall, "which is here"),
        (Some(user), None) => {
            Finding::new(user, title).label(format!("by default, `write_stall_timeout` is {}", stall.1))
        }
        (None, Some(stall)) => {
            Finding::new(stall, title).label(format!("by default, `user_timeout` is {}", user.1))
        }
        (None, None) => return None,
    };
    Some(finding.help(
        "the kernel resets a peer that takes nothing for `user_timeout`, before `write_stall_timeout` ends it: \
         make `user_timeout` longer, or the other one shorter",
    ))
}

/// What is wrong with a time of keepalive probes.
fn keepalive(bound: Bound) -> Option<String> {
    let time = bound.get();
    if time.subsec_nanos() != 0 {
        Some(format!("the kernel counts this in whole seconds, and {bound} is not one"))
    } else if time.as_secs() > LONGEST_KEEPALIVE {
        Some(format!("the kernel takes at most {LONGEST_KEEPALIVE}s here"))
    } else {
        None
    }
}
