//! Routes that lead back to where they started: each connection would open another one, until the limits end it.
//!
//! Only what the file shows is found: addresses of this machine that no listener names, other names of it and loops
//! over other machines are not.

use std::net::IpAddr;

use proxy_core::BindAddr;
use proxy_route::{Host, Match, Query, RouteTable, Target};

use super::document::Document;
use super::finding::Finding;
use super::listener::{Greeting, ListenerConfig};
use super::route::{self, Action, RouteConfig, SendProxy};

/// An error for each target that is a listening socket whose connections take the same route.
///
/// The routes have to be those of the document, position by position.
pub(super) fn check(
    table: &RouteTable<RouteConfig>,
    listeners: &[ListenerConfig],
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) {
    for route in table.routes().filter(|route| route.spec.enabled) {
        let Action::Forward { targets, .. } = &route.payload.action else { continue };
        for (nth, target) in targets.iter().enumerate() {
            let Some(port) = loops(table, route.index, target, listeners) else { continue };
            let place = route::place(document, route.index);
            let span = place.key("action").key("forward").index(nth).span();
            let title = format!("route \"{}\" forwards to itself", route.name());
            findings.push(
                Finding::new(span, title)
                    .label(format!("this is the proxy's own port {port}"))
                    .beside(place.key("match").key("ports").span(), "which this route takes")
                    .help("each connection would open another one without end: name the backend's address and port"),
            );
        }
    }
}

/// The port on which a connection to the target comes back to the route.
fn loops(
    table: &RouteTable<RouteConfig>,
    route: usize,
    target: &Target,
    listeners: &[ListenerConfig],
) -> Option<u16> {
    let Target::Tcp { host, port } = target else { return None };
    let ip = match host {
        Host::Ip(ip) => *ip,
        // The one name that is this machine everywhere (RFC 6761, section 6.3).
        Host::Name(name) if matches!(name.trim_end_matches('.'), "localhost") => IpAddr::from([127, 0, 0, 1]),
        Host::Name(_) => return None,
    };
    let matched = table.route(route)?;
    let came_from = |listener: &ListenerConfig| {
        matched.spec.matches.ports.iter().any(|ports| ports.contains(listener.port))
    };
    let own = listeners
        .iter()
        .filter(|listener| port.on(listener.port) == listener.port && reaches(ip, listener.bind));
    own.filter(|listener| came_from(listener))
        .find(|listener| {
            let sends = matched.payload.send_proxy != SendProxy::Off;
            let same_client = sends && listener.accept_proxy.greeting(ip) == Greeting::Header;
            same_client || comes_back(table, route, &matched.spec.matches, ip, listener.port)
        })
        .map(|listener| listener.port)
}

/// Whether a connection to `ip` lands on a socket that is bound so.
fn reaches(ip: IpAddr, bind: BindAddr) -> bool {
    // Connecting to the unspecified address connects to this machine.
    let local = ip.is_loopback() || ip.is_unspecified();
    match bind {
        BindAddr::Dual => local,
        BindAddr::Ip(bound) if bound.is_unspecified() => local && bound.is_ipv4() == ip.is_ipv4(),
        BindAddr::Ip(bound) => {
            bound == ip || (ip.is_unspecified() && bound.is_loopback() && bound.is_ipv4() == ip.is_ipv4())
        }
    }
}

/// Whether some connection that took the route takes it again, now with this machine as the client: its name and its
/// protocols are passed on as they are.
fn comes_back(
    table: &RouteTable<RouteConfig>,
    route: usize,
    matches: &Match,
    client: IpAddr,
    port: u16,
) -> bool {
    let client = if client.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { client };
    // A wildcard stands for any label, and no pattern has a `?`.
    let names: Vec<String> =
        matches.domains.iter().map(|domain| domain.to_string().replace('*', "?")).collect();
    let names = if names.is_empty() { vec![String::new()] } else { names };
    let alpn: Vec<&[_]> = if matches.alpn.is_empty() { vec![&[]] } else { matches.alpn.chunks(1).collect() };
    names.iter().any(|name| {
        alpn.iter().any(|offered| {
            let query = Query::on(port).name(name).client(client).alpn(offered);
            table.lookup(&query).is_some_and(|hit| hit.index == route)
        })
    })
}
