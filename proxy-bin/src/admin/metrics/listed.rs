//! Which targets metrics are about, and the units of their histograms.

use std::sync::Arc;

use proxy_dataplane::generation::Generation;
use proxy_upstream::Member;

use crate::config::Action;

/// Histograms of times are in milliseconds, those of dials in microseconds.
pub(super) const MILLIS: f64 = 1e3;
pub(super) const MICROS: f64 = 1e6;

/// The groups that have a name, each with an `@` before it, and their members.
pub(super) fn groups<D>(proxy: &Generation<D>) -> Vec<(String, Vec<Arc<Member>>)> {
    proxy.groups().map(|group| (format!("@{}", group.name()), group.members())).collect()
}

/// The route or group of a target, the target, and what is counted for it, if anything was.
pub(super) type TargetOf<'p> = (&'p str, String, Option<&'p Member>);

/// The targets in force, each with its route or its group, a name, and what is counted for it, if anything was: one that a route
/// has several times gets a number.
pub(super) fn targets<'p, D>(
    proxy: &'p Generation<D>,
    groups: &'p [(String, Vec<Arc<Member>>)],
) -> Vec<TargetOf<'p>> {
    let mut targets: Vec<TargetOf<'_>> = Vec::new();
    for matched in proxy.settings.routes.routes() {
        let (route, state) = (matched.payload, proxy.routes.made(matched.index));
        let Action::Forward(listed) = &route.action else { continue };
        for (at, target) in listed.iter().enumerate() {
            let before = listed.iter().take(at).filter(|other| *other == target).count();
            let name = if before == 0 { target.to_string() } else { format!("{target}#{}", before + 1) };
            targets.push((&route.name, name, state.and_then(|state| state.targets.nth(at))));
        }
    }
    let of_groups = groups.iter().flat_map(|(group, members)| members.iter().map(move |one| (group, one)));
    targets
        .extend(of_groups.map(|(group, member)| (group.as_str(), member.name.to_string(), Some(&**member))));
    targets
}
