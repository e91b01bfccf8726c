//! Groups and their members: each member is compared by itself, under the target that it is.

use std::collections::{BTreeMap, HashMap};

use proxy_dataplane::settings::{Action, GroupConfig, RouteConfig};
use proxy_route::RouteTable;
use proxy_upstream::{Discovery, Target};
use serde::Deserialize;
use toml::{Table, Value};

use super::{Part, Shown, array, shown};

/// Moves the groups of a table to the parts.
pub(super) fn of(table: &mut Table, parts: &mut BTreeMap<Part, Shown>) {
    let Some(Value::Table(groups)) = table.remove("groups") else { return };
    for (name, group) in groups {
        let Value::Table(mut group) = group else { continue };
        for written in array(group.remove("members")) {
            let (target, rest) = taken_apart(written);
            parts.insert(Part::Group(name.clone(), Some(target)), shown(rest));
        }
        parts.insert(Part::Group(name, None), shown(group));
    }
}

/// A member's target, and what is written of it beside that.
fn taken_apart(written: Value) -> (String, Table) {
    let named = |target: Value| match target.as_str().filter(|text| Discovery::is_meant(text)) {
        Some(name) => Ok(name.to_owned()),
        None => Target::deserialize(target).map(|target| target.to_string()),
    };
    let (target, rest) = match written.as_table() {
        Some(table) => {
            let mut rest = table.clone();
            (rest.remove("to"), rest)
        }
        None => (Some(written), Table::new()),
    };
    (target.map(named).transpose().ok().flatten().unwrap_or_default(), rest)
}

/// What a member is called.
pub(super) fn member(target: &str, group: &str) -> String {
    format!("member {target} of group {group}")
}

/// The groups that routes are taken to, by the routes' names.
pub(super) fn of_routes(routes: &RouteTable<RouteConfig>) -> HashMap<&str, &GroupConfig> {
    fn group(action: &Action) -> Option<&GroupConfig> {
        match action {
            Action::Group(group) => Some(group),
            Action::Forward(_) | Action::Refuse => None,
        }
    }
    routes.routes().filter_map(|route| Some((route.name(), group(&route.payload.action)?))).collect()
}

/// Counts a connection that is taken to a group, for it and for the member that it is at.
pub(super) fn count(group: &GroupConfig, target: Option<&str>, one: &mut impl FnMut(String)) {
    one(format!("group {}", group.name));
    if let Some(target) = target {
        one(member(target, &group.name));
    }
}
