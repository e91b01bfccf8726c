//! What a reload takes back of what was done to a group by hand.

use std::collections::HashSet;

use super::Served;
use crate::config::{Config, GroupConfig};

/// What a reload takes back of what was done by hand: a warning for each member that is none any more, and each that is one again.
pub(crate) fn taken_back(proxy: &Served, before: &Config, next: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for group in proxy.groups() {
        let Some(is) = named(next, group.name()) else { continue };
        let Some(was) = named(before, group.name()) else { continue };
        let (was, is): (HashSet<_>, HashSet<_>) =
            (was.targets().iter().collect(), is.targets().iter().collect());
        let members = group.member_options();
        let now: HashSet<_> = members.iter().map(|(member, _)| member.target()).collect();
        let listed =
            members.iter().filter(|(_, options)| options.found_by == 0).map(|(member, _)| member.target());
        for added in listed.filter(|target| !was.contains(target) && !is.contains(target)) {
            let group = group.name();
            warnings.push(format!("{added} was added to group {group} by hand, and is no member any more: the file does not list it"));
        }
        for removed in was.iter().filter(|target| is.contains(*target) && !now.contains(*target)) {
            let group = group.name();
            warnings.push(format!(
                "{removed} was removed from group {group} by hand, and is a member again: the file lists it"
            ));
        }
    }
    warnings.sort();
    warnings
}

fn named<'c>(config: &'c Config, name: &str) -> Option<&'c GroupConfig> {
    config.settings.groups.iter().map(|group| &**group).find(|group| *group.name == *name)
}
