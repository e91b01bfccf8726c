//! Routes that lead back to where they started: each connection would open another one, until the limits end it.
//!
//! A connection is followed from each route, for each name and protocol that the route is about, over the proxy's own
//! ports. A proxy in front of another one in the same file comes to an end; where a place is met again, it never does.
//!
//! Only what the file shows is found: addresses of this machine that no listener names, other names of it and loops
//! over other machines are not.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::BindAddr;
use proxy_route::{Query, RouteTable};
use proxy_upstream::{Host, Target, TargetPort};

use super::document::Document;
use super::finding::Finding;
use super::{group, route};
use proxy_dataplane::settings::SendProxy;
use proxy_dataplane::settings::{Action, RouteConfig};
use proxy_dataplane::settings::{Greeting, ListenerConfig};

/// Own ports that one connection is followed over. A longer ring is no slip.
const LONGEST: usize = 64;

/// Where a connection is, and whose it seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stop {
    route: usize,
    port: u16,
    client: Option<IpAddr>,
}

/// Stops, each with the position of the target that leads to the next one.
type Path = Vec<(Stop, usize)>;

/// What there is to follow a connection.
struct Walk<'a, A> {
    table: &'a RouteTable<RouteConfig>,
    /// By port.
    listeners: &'a [ListenerConfig],
    name: &'a str,
    alpn: &'a [A],
}

/// An error for each ring of routes, and for each target with which a route is a ring of its own.
///
/// The routes have to be those of the document, position by position.
pub(super) fn check(
    table: &RouteTable<RouteConfig>,
    listeners: &[ListenerConfig],
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut known = HashSet::new();
    let enabled = table.routes().filter(|route| route.spec.enabled);
    // Many routes may be taken to one group.
    let mut groups = HashMap::new();
    let mut may_lead_here = |route: &RouteConfig| match &route.action {
        Action::Group(group) => {
            *groups.entry(Arc::as_ptr(group)).or_insert_with(|| leads_here(route, listeners))
        }
        Action::Forward(_) | Action::Refuse => leads_here(route, listeners),
    };
    for route in enabled.filter(|route| may_lead_here(route.payload)) {
        let matches = &route.spec.matches;
        let Some(port) = matches.ports.first().map(|ports| ports.first()) else { continue };
        let client = matches.clients.first().map(|network| network.net().addr());
        let start = Stop { route: route.index, port, client };
        // A wildcard stands for any label, and no pattern has a `?`.
        let mut names: Vec<_> =
            matches.domains.iter().map(|name| name.to_string().replace('*', "?")).collect();
        names.resize(names.len().max(1), String::new());
        let alpn: Vec<&[_]> =
            if matches.alpn.is_empty() { vec![&[]] } else { matches.alpn.chunks(1).collect() };
        for (name, alpn) in names.iter().flat_map(|name| alpn.iter().map(move |alpn| (name, *alpn))) {
            let mut rings = Vec::new();
            let walk = Walk { table, listeners, name, alpn };
            walk.rings(&mut vec![(start, 0)], &mut HashSet::from([start]), &mut rings);
            let new = rings.iter().filter(|ring| known.insert(identity(ring)));
            findings.extend(new.filter_map(|ring| finding(ring, table, document)));
        }
    }
}

/// Whether a target may be one of the proxy's own ports. Most routes lead elsewhere, and that is seen at once.
fn leads_here(route: &RouteConfig, listeners: &[ListenerConfig]) -> bool {
    let own = |port: u16| listeners.binary_search_by_key(&port, |listener| listener.port).is_ok();
    route.action.targets().iter().filter_map(tcp).any(|(_, port)| match port {
        TargetPort::Fixed(port) => own(*port),
        TargetPort::Preserve => true,
    })
}

/// Whether a ring is of one route, on one port or several.
fn is_of_one(ring: &Path) -> bool {
    ring.iter().zip(ring.iter().skip(1)).all(|((one, _), (other, _))| one.route == other.route)
}

/// What makes a ring another one than those already found.
fn identity(ring: &Path) -> Vec<(usize, usize)> {
    let one = is_of_one(ring);
    let mut routes: Vec<_> =
        ring.iter().map(|(stop, target)| (stop.route, if one { *target } else { 0 })).collect();
    routes.truncate(if one { 1 } else { routes.len() });
    routes.sort_unstable();
    routes
}

impl<A: AsRef<[u8]>> Walk<'_, A> {
    /// Finds the rings that a connection comes into from the end of the path.
    fn rings(&self, path: &mut Path, seen: &mut HashSet<Stop>, found: &mut Vec<Path>) {
        let onward = path.last().map(|(stop, _)| self.onward(*stop)).unwrap_or_default();
        for (nth, next) in onward {
            path.last_mut().into_iter().for_each(|(_, target)| *target = nth);
            if let Some(from) = path.iter().position(|(stop, _)| *stop == next) {
                found.extend(path.get(from..).map(<[_]>::to_vec));
            } else if path.len() < LONGEST && seen.insert(next) {
                path.push((next, 0));
                self.rings(path, seen, found);
                path.pop();
            }
        }
    }

    /// Where a connection goes from here, if to the proxy itself: its name and its protocols are passed on as they are.
    fn onward(&self, at: Stop) -> Vec<(usize, Stop)> {
        let Some(route) = self.table.route(at.route).map(|matched| matched.payload) else {
            return Vec::new();
        };
        let tcp =
            route.action.targets().iter().enumerate().filter_map(|(nth, target)| Some((nth, tcp(target)?)));
        let own = tcp.flat_map(|(nth, (ip, port))| {
            let wanted = port.on(at.port);
            let from = self.listeners.partition_point(|listener| listener.port < wanted);
            let on_it = self.listeners.iter().skip(from).take_while(move |listener| listener.port == wanted);
            on_it.filter(move |listener| reaches(ip, listener.bind)).map(move |listener| (nth, ip, listener))
        });
        own.filter_map(|(nth, ip, listener)| {
            let peer = if ip.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { ip };
            // A hop is taken by hops alone, and takes nobody else.
            if listener.hop.is_some() != route.tls.hop.is_some() {
                return None;
            }
            let client = match listener.greeting(peer) {
                Greeting::Header | Greeting::Either if route.send_proxy != SendProxy::Off => at.client,
                Greeting::Plain | Greeting::Either => Some(peer),
                Greeting::Header | Greeting::Refused => return None,
            };
            let port = listener.port;
            let query = Query { port, server_name: Some(self.name), client, alpn: self.alpn };
            Some((nth, Stop { route: self.table.lookup(&query)?.index, port, client }))
        })
        .collect()
    }
}

/// The error, pointing at the target of each route of a ring.
fn finding(ring: &Path, table: &RouteTable<RouteConfig>, document: &Document<'_>) -> Option<Finding> {
    let place = |stop: &Stop| route::place(document, stop.route);
    let target = |(stop, nth): &(Stop, usize)| {
        let action = table.route(stop.route).map_or(&Action::Refuse, |route| &route.payload.action);
        group::place_of_target(document, (stop.route, action), *nth).span()
    };
    let names: Vec<_> = ring.iter().filter_map(|(stop, _)| Some(table.route(stop.route)?.name())).collect();
    let title = if is_of_one(ring) {
        format!("route \"{}\" forwards to itself", names.first()?)
    } else {
        format!("routes \"{}\" forward to each other without end", names.join("\", \""))
    };
    let mut steps = ring.iter().zip(ring.iter().cycle().skip(1));
    let (first, (second, _)) = steps.next()?;
    let finding =
        Finding::new(target(first), title).label(format!("this is the proxy's own port {}", second.port));
    let finding = if is_of_one(ring) {
        finding.beside(place(&first.0).key("match").key("ports").span(), "which this route takes")
    } else {
        steps.fold(finding, |finding, (stop, (to, _))| {
            finding.beside(target(stop), format!("and this its port {}", to.port))
        })
    };
    Some(
        finding
            .help("each connection would open another one without end: name the backend's address and port"),
    )
}

/// The address and the port of a target, as far as the file shows them.
fn tcp(target: &Target) -> Option<(IpAddr, &TargetPort)> {
    let Target::Tcp { host, port } = target else { return None };
    match host {
        Host::Ip(ip) => Some((*ip, port)),
        // The one name that is this machine everywhere (RFC 6761, section 6.3).
        Host::Name(name) if matches!(name.trim_end_matches('.'), "localhost") => {
            Some((IpAddr::from([127, 0, 0, 1]), port))
        }
        Host::Name(_) => None,
    }
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
