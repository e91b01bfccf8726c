//! What is wrong with groups, and with routes that are taken to one.

use proxy_core::Egress;
use proxy_upstream::Weight;
use proxy_upstream::health::CheckHeader;
use proxy_values::spelling;

use super::super::breaker::BreakerFile;
use super::super::document::{Document, Place};
use super::super::file::{ActionFile, ConfigFile, RouteFile};
use super::super::finding::Finding;
use super::super::send_proxy::SendProxyFile;
use super::super::tls::HopFile;
use super::super::{egress, http, route};
use super::{ForwardFile, GroupFile, GroupName, To, earlier, health, place};

/// Errors of the groups, and of the routes that are taken to them.
pub(in crate::config) fn check(
    (file, routes): (&ConfigFile, &[RouteFile]),
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) {
    for (name, group) in &file.groups {
        let place = place(document, name.as_str());
        check_one(name, group, &place, findings);
        health::check((name, group), routes, &place, findings);
    }
    for (index, route) in routes.iter().enumerate() {
        let group = route.name.as_str().strip_prefix('@').and_then(|name| name.parse::<GroupName>().ok());
        if let Some((group, _)) = group.and_then(|name| file.groups.get_key_value(&name)) {
            let title =
                format!("a route is named \"{}\", as the group \"{group}\" is called in metrics", route.name);
            let span = route::place(document, index).key("name").span();
            findings.push(Finding::new(span, title).label("give it another name"));
        }
    }
    for (index, route, name) in to_groups(routes) {
        let place = || route::place(document, index);
        if !file.groups.contains_key(name) && !was_there(name, document) {
            findings.push(unknown(name, file, &place().key("action").key("forward")));
        }
        of_the_group(route, name, &place, findings);
    }
    let groups = |name: &GroupName, forward: &Place<'_, '_>| {
        let is_there = file.groups.contains_key(name) || was_there(name, document);
        (!is_there).then(|| unknown(name, file, forward))
    };
    for (index, route) in routes.iter().enumerate().filter(|(_, route)| !route.is_plain()) {
        http::check_groups(route, &route::place(document, index), &groups, findings);
    }
}

/// What is wrong with a name of a group that is written at a place, where there is no such group.
pub(in crate::config) type NoGroup<'a> = &'a dyn Fn(&GroupName, &Place<'_, '_>) -> Option<Finding>;

/// The routes that are taken to a group, each with its position and the group.
fn to_groups(routes: &[RouteFile]) -> impl Iterator<Item = (usize, &RouteFile, &GroupName)> {
    routes.iter().enumerate().filter_map(|(index, route)| match &route.action {
        ActionFile::Forward(ForwardFile::Group(name)) => Some((index, route, name)),
        ActionFile::Forward(ForwardFile::Targets(_)) | ActionFile::Refuse => None,
    })
}

/// The PROXY header that the routes send which are taken to a group; None where they differ.
pub(super) fn sent(name: &GroupName, routes: &[RouteFile]) -> Option<CheckHeader> {
    let header = |route: &RouteFile| match route.send_proxy {
        _ if route.hop.is_some() => CheckHeader::V2,
        SendProxyFile::Off => CheckHeader::None,
        SendProxyFile::V1 => CheckHeader::V1,
        SendProxyFile::V2 => CheckHeader::V2,
    };
    let mut headers = to_groups(routes).filter(|(.., of)| *of == name).map(|(_, route, _)| header(route));
    let first = headers.next().unwrap_or_default();
    headers.all(|header| header == first).then_some(first)
}

/// As which hop the routes go to a group that are taken there, if they do: where they differ, the first.
pub(super) fn as_hop<'r>(name: &GroupName, routes: &'r [RouteFile]) -> (Option<&'r HopFile>, bool) {
    let mut hops = to_groups(routes).filter(|(.., of)| *of == name).map(|(_, route, _)| route.hop.as_ref());
    let first = hops.next().flatten();
    (first, hops.all(|hop| hop == first))
}

/// Whether the table of a group was cut out for what is wrong with it.
fn was_there(name: &GroupName, document: &Document<'_>) -> bool {
    let root = document.root();
    root.has_lost("groups") || root.key("groups").has_lost(name.as_str())
}

fn unknown(name: &GroupName, file: &ConfigFile, forward: &Place<'_, '_>) -> Finding {
    let known: Vec<&str> = file.groups.keys().map(GroupName::as_str).collect();
    let finding = Finding::new(forward.span(), format!("there is no group \"{name}\""));
    let finding = match spelling::nearest(name.as_str(), &known) {
        Some(near) => finding.label(format!("did you mean \"@{near}\"?")),
        None => finding,
    };
    let make =
        format!("a table makes one:\n[groups.{name}]\nmembers = [\"10.0.0.1:3000\", \"10.0.0.2:3000\"]");
    finding.help(match known.as_slice() {
        [] => format!("the file has no groups; {make}"),
        [one] => format!("the only group is \"@{one}\"; {make}"),
        several => format!("the groups are \"@{}\"; {make}", several.join("\", \"@")),
    })
}

/// What a route says that its group has to say, for all routes that are taken there.
fn of_the_group<'d, 't>(
    route: &RouteFile,
    name: &GroupName,
    place: &dyn Fn() -> Place<'d, 't>,
    findings: &mut Vec<Finding>,
) {
    let limit = route.max_connections_per_target.is_some();
    let breaker = route.breaker != BreakerFile::default();
    let keys = [
        ("max_connections_per_target", "max_connections_per_member", limit),
        ("breaker", "breaker", breaker),
    ];
    for (key, there, _) in keys.into_iter().filter(|(.., written)| *written) {
        let title = format!("`{key}` of a route has no effect on a group");
        findings.push(
            Finding::new(place().span_of_key(key), title)
                .beside(place().key("action").key("forward").span(), "whose members other routes may use too")
                .help(format!("write `{there}` in [groups.{name}]")),
        );
    }
}

/// What is wrong with a group alone.
fn check_one(name: &GroupName, group: &GroupFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let members = place.key("members");
    if members.is_wounded() || !place.is_whole("members") {
        return;
    }
    if group.members.is_empty() {
        let finding = Finding::new(members.span(), format!("group \"{name}\" has no members"));
        findings.push(finding.label("at least one target has to be here"));
        return;
    }
    let targets = group.members.iter().filter_map(|member| match &member.to {
        To::Target(target) => Some(target),
        To::Name(_) => None,
    });
    let own = group.egress(&Egress::default());
    egress::refuse_unix(&format!("group \"{name}\""), own.as_deref(), targets, place, findings);
    for (again, first) in earlier(group.members.iter().map(|member| &member.to)) {
        let (again, first, target) = (members.index(again), members.index(first), group.members.get(again));
        let target = target.map(|member| member.to.to_string()).unwrap_or_default();
        findings.push(
            Finding::new(again.span(), format!("\"{target}\" is twice a member of group \"{name}\""))
                .beside(first.span(), "the first time is here")
                .help("for a greater share, give it a `weight`: { to = \"…\", weight = 2 }"),
        );
    }
    check_names(name, group, &members, findings);
    if group.members.iter().all(|member| member.weight() == Weight::nearest(0)) {
        findings.push(
            Finding::new(members.span(), format!("all members of group \"{name}\" have the weight 0"))
                .label("so none of them is to get a connection")
                .help("give one of them another weight"),
        );
    }
}

/// Names of one group at most: look-ups of all of them are repeated for as long as the group is there.
const MOST_NAMES: usize = 64;

/// What is wrong with the names that stand for members of a group.
fn check_names(name: &GroupName, group: &GroupFile, members: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let names = || group.members.iter().enumerate().filter(|(_, member)| matches!(member.to, To::Name(_)));
    for (at, member) in names() {
        for key in member.said_by_records() {
            let title = format!("SRV records say the {key} of each server themselves");
            let finding = Finding::new(members.index(at).key(key).span(), title);
            findings.push(finding.label("this has no effect").help("take it out"));
        }
    }
    if let Some((at, _)) = names().nth(MOST_NAMES) {
        let title = format!("group \"{name}\" has more than {MOST_NAMES} names that stand for members");
        findings.push(Finding::new(members.index(at).span(), title).label("this is one too many"));
    }
}

/// A warning for each group that no route is taken to, or that has backups alone. The file has to be whole.
pub(in crate::config) fn unused(
    file: &ConfigFile,
    routes: &[RouteFile],
    document: &Document<'_>,
) -> Vec<Finding> {
    let by_rules = routes.iter().flat_map(http::groups);
    let used: std::collections::HashSet<&str> =
        to_groups(routes).map(|(_, _, name)| name).chain(by_rules).map(GroupName::as_str).collect();
    let mut findings = Vec::new();
    for (name, group) in &file.groups {
        let place = place(document, name.as_str());
        if !used.contains(name.as_str()) {
            findings.push(
                Finding::new(place.span(), format!("no route is taken to the group \"{name}\""))
                    .label("this has no effect")
                    .help(format!("a route is taken there by action = {{ forward = \"@{name}\" }}")),
            );
        }
        health::useless(group, &place, &mut findings);
        if group.members.iter().all(|member| member.backup) {
            findings.push(
                Finding::new(
                    place.key("members").span(),
                    format!("all members of group \"{name}\" are backups"),
                )
                .label("there is nobody whom they could stand in for: they are used all the same"),
            );
        }
    }
    findings
}
