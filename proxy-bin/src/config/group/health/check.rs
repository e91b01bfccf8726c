//! What is wrong with how a group's members are checked.

use proxy_core::Bound;
use proxy_upstream::Target;
use proxy_upstream::address::TargetPort;

use super::super::super::document::Place;
use super::super::super::file::RouteFile;
use super::super::super::finding::Finding;
use super::super::check::{as_hop, sent};
use super::super::{GroupFile, GroupName, LeavingFile, To};
use super::{CheckFile, KindFile, OutliersFile, Table};

/// Errors of the group at this place.
pub(in crate::config::group) fn check(
    (name, group): (&GroupName, &GroupFile),
    routes: &[RouteFile],
    place: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    if let Some(CheckFile(table)) = &group.check
        && place.is_whole("check")
    {
        let at = place.key("check");
        some_kind(table, &at, findings);
        keys_of_others(table, &at, findings);
        values(table, &at, findings);
        times(table, &at, findings);
        which_port(group, table, place, findings);
        which_header(name, table, routes, &at, findings);
        as_which_hop(name, table, routes, &at, findings);
    }
    if let Some(outliers) = &group.outliers
        && place.is_whole("outliers")
    {
        ejections(outliers, &place.key("outliers"), findings);
    }
}

/// Warnings for what has no effect.
pub(in crate::config::group) fn useless(
    group: &GroupFile,
    place: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    if group.on_down != LeavingFile::Keep && group.check.is_none() {
        let finding = Finding::new(place.key("on_down").span(), "`on_down` needs a `check`");
        findings.push(
            finding
                .label("this has no effect: nobody finds a member down")
                .help("write check = \"connect\", or the kind of the backends"),
        );
    }
    if group.outliers.is_some() && group.members.len() == 1 {
        let finding = Finding::new(place.key("outliers").span(), "a single member is never taken out");
        findings.push(finding.label("this has no effect").help("there would be nobody left; add a member"));
    }
}

fn some_kind(table: &Table, at: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    if table.kind.is_none() && table.expect.is_none() {
        findings.push(
            Finding::new(at.span(), "it is not said what the check is")
                .help("write check = \"connect\", or the kind of the backends, or { send = \"PING\", expect = \"PONG\" }"),
        );
    }
    if table.expect.as_deref() == Some("") {
        findings.push(Finding::new(at.key("expect").span(), "an empty text is in every answer").help(
            "write what a backend that is in order says; for one that only has to accept, kind = \"connect\"",
        ));
    }
}

/// Keys that belong to another kind.
fn keys_of_others(table: &Table, at: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    use KindFile::{Connect, Http, Https, Mariadb, Smartproxy, Tls};
    let text = table.kind.is_none();
    let is = |kinds: &[KindFile]| table.kind.is_some_and(|kind| kinds.contains(&kind));
    let keys = [
        ("send", table.send.is_some(), text),
        ("expect", table.expect.is_some(), text),
        ("user", table.user.is_some(), is(&[Mariadb])),
        ("path", table.path.is_some(), is(&[Http, Https])),
        ("host", table.host.is_some(), is(&[Http, Https])),
        ("status", table.status.is_some(), is(&[Http, Https])),
        ("server_name", table.server_name.is_some(), is(&[Tls, Https, Smartproxy])),
        ("send_proxy", table.send_proxy.is_some(), !is(&[Connect, Smartproxy])),
    ];
    for (key, _, _) in keys.into_iter().filter(|(_, written, belongs)| *written && !belongs) {
        let kind = table.kind.map_or("with `expect`", KindFile::name);
        let title = format!(
            "`{key}` is nothing for a check {}",
            if text { kind.to_owned() } else { format!("\"{kind}\"") }
        );
        let finding = Finding::new(at.span_of_key(key), title).label("this would have no effect");
        findings.push(match (key, table.kind) {
            ("send" | "expect", _) => finding.help("leave `kind` out: then this is the check"),
            ("send_proxy", Some(Smartproxy)) => {
                finding.help("what such a check sends is a PROXY header itself")
            }
            ("send_proxy", _) => finding.help("such a check ends before anything is sent"),
            _ => finding.help("leave it out"),
        });
    }
}

/// Values that would end the line that they are written into, or that cannot be sent.
fn values(table: &Table, at: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut wrong = |key: &'static str, what: &str| {
        findings.push(Finding::new(at.key(key).span(), format!("`{key}` has to be {what}")));
    };
    if table.path.as_deref().is_some_and(|path| !path.starts_with('/') || !plain(path)) {
        wrong("path", "a path such as \"/health\", without spaces");
    }
    if table.host.as_deref().is_some_and(|host| !plain(host)) {
        wrong("host", "a name, perhaps with a port, without spaces");
    }
    if table.user.as_deref().is_some_and(|user| user.is_empty() || user.contains('\0')) {
        wrong("user", "the name of a user");
    }
    // The longest name of a host (RFC 1035, section 2.3.4), and an address is none.
    let is_name = |name: &str| plain(name) && name.len() <= 253 && name.parse::<std::net::IpAddr>().is_err();
    if table.server_name.as_deref().is_some_and(|name| !is_name(name)) {
        wrong("server_name", "the name of a host");
    }
}

fn times(table: &Table, at: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let Some(interval) = table.interval else { return };
    if let Some(fast) = table.fast_interval.filter(|fast: &Bound| *fast > interval) {
        let title = format!("`fast_interval` ({fast}) is longer than `interval` ({interval})");
        let finding = Finding::new(at.key("fast_interval").span(), title);
        findings.push(finding.beside(at.key("interval").span(), "which is here"));
    }
}

/// Where routes send different headers to a group, nobody knows which of them its members want.
fn which_header(
    name: &GroupName,
    table: &Table,
    routes: &[RouteFile],
    at: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let sends_none = matches!(table.kind, Some(KindFile::Connect | KindFile::Smartproxy));
    if table.send_proxy.is_none() && !sends_none && sent(name, routes).is_none() {
        findings.push(
            Finding::new(at.span(), "it is not said which PROXY header goes before the check")
                .label(format!("routes that are taken to \"@{name}\" differ in `send_proxy`"))
                .help("write { kind = \"…\", send_proxy = \"v2\" }"),
        );
    }
}

/// Where routes go to a group as different hops, or some as none, nobody knows which of them its members take.
fn as_which_hop(
    name: &GroupName,
    table: &Table,
    routes: &[RouteFile],
    at: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    if table.port.is_none() && !as_hop(name, routes).1 {
        findings.push(
            Finding::new(at.span(), "it is not said whether the check goes to a hop")
                .label(format!("routes that are taken to \"@{name}\" differ in `hop`"))
                .help("write the same `hop` in all of them, or make two groups"),
        );
    }
}

/// A member that is reached on the port of whoever comes has none of its own.
fn which_port(group: &GroupFile, table: &Table, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    if table.port.is_some() || place.key("members").is_wounded() {
        return;
    }
    let preserves = |to: &To| matches!(to, To::Target(Target::Tcp { port: TargetPort::Preserve, .. }));
    if let Some(nth) = group.members.iter().position(|member| preserves(&member.to)) {
        let finding = Finding::new(place.key("check").span(), "it is not said which port is checked");
        findings.push(
            finding
                .beside(
                    place.key("members").index(nth).span(),
                    "this member is reached on the port that a client came to",
                )
                .help("write { kind = \"…\", port = 443 }"),
        );
    }
}

fn ejections(outliers: &OutliersFile, at: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let options = outliers.resolved();
    let (first, longest) = (options.ejection, options.longest_ejection);
    if first > longest {
        let title = format!("`ejection` ({first}) is longer than `longest_ejection` ({longest})");
        let written = if outliers.ejection.is_some() { "ejection" } else { "longest_ejection" };
        findings.push(Finding::new(at.key(written).span(), title).help("a term can only grow: set both"));
    }
}
