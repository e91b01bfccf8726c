//! The breakers of backends: what is built in, `[breaker]` over it, a route's own over both.

use proxy_conn::BreakerOptions;
use proxy_core::Bound;
use schemars::JsonSchema;
use serde::Deserialize;

use super::document::{Document, Place};
use super::file::{ConfigFile, RouteFile};
use super::finding::Finding;
use super::{group, route};
use proxy_values::Whole;

/// When a backend that can not be reached is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BreakerFile {
    /// It is left alone when this many dials in a row have failed; at least 1. Default 5.
    failures_in_a_row: Option<Whole<1, { u32::MAX }>>,
    /// For this long it is left alone while there are others; then one connection tries it. Each time that fails, the next
    /// wait is twice as long. Meanwhile the proxy tries it by itself, about once a second (it connects, and closes), and it is
    /// dialled again as soon as that succeeds; and a connection that has no other target to go to tries it at any time, one
    /// at a time. Default 10s.
    cool_down: Option<Bound>,
    /// No wait is longer than this; not below `cool_down`. Default 2m.
    longest_cool_down: Option<Bound>,
}

impl BreakerFile {
    /// These options, with what is written here in their place.
    pub(super) fn over(&self, options: &BreakerOptions) -> BreakerOptions {
        BreakerOptions::default()
            .failures_in_a_row(self.failures_in_a_row.map_or(options.failures_in_a_row, Whole::non_zero))
            .cool_down(self.cool_down.unwrap_or(options.cool_down))
            .longest_cool_down(self.longest_cool_down.unwrap_or(options.longest_cool_down))
    }
}

/// An error for `[breaker]`, or for each group and each route, whose waits contradict each other.
pub(super) fn check(
    file: &ConfigFile,
    routes: &[RouteFile],
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) {
    if !document.root().is_whole("breaker") {
        return;
    }
    let common = file.breaker.over(&BreakerOptions::default());
    let place = document.root().key("breaker");
    if let Some(finding) = contradiction(&common, std::slice::from_ref(&place)) {
        findings.push(finding);
        return;
    }
    for (name, group) in &file.groups {
        let around = group::place(document, name.as_str());
        if around.is_whole("breaker") {
            let options = group.breaker.over(&common);
            findings.extend(contradiction(&options, &[around.key("breaker"), place.clone()]));
        }
    }
    for (index, route) in routes.iter().enumerate() {
        // It has what is good in itself.
        if route.breaker == BreakerFile::default() {
            continue;
        }
        let options = route.breaker.over(&common);
        let around = route::place(document, index);
        if around.is_whole("breaker") {
            findings.extend(contradiction(&options, &[around.key("breaker"), place.clone()]));
        }
    }
}

/// What is wrong with options that were written at these places, the nearest first.
fn contradiction(options: &BreakerOptions, places: &[Place<'_, '_>]) -> Option<Finding> {
    let (first, longest) = (options.cool_down, options.longest_cool_down);
    if first <= longest {
        return None;
    }
    let written = |key: &'static str, bound: Bound| {
        let at = places.iter().enumerate().map(|(depth, place)| (depth, place.key(key)));
        let found = at.filter(|(_, place)| place.exists()).map(|(depth, place)| (depth, place.span())).next();
        (found, key, bound)
    };
    // The nearer of the two is the one that was written last.
    let mut both = [written("cool_down", first), written("longest_cool_down", longest)];
    both.sort_by_key(|(found, ..)| found.as_ref().map_or(usize::MAX, |(depth, _)| *depth));
    let [(here, ..), (there, other, bound)] = both;
    let title = format!("`cool_down` ({first}) is longer than `longest_cool_down` ({longest})");
    let finding = Finding::new(here?.1, title).help("a wait can only grow: set both");
    Some(match there {
        Some((_, span)) => finding.beside(span, "which is here"),
        None => finding.label(format!("by default, `{other}` is {bound}")),
    })
}
