//! Links: which target of the outer hop leads to which listener of the inner one, as whom, and as how-manieth proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proxy_core::BindAddr;
use proxy_route::{Matched, PortRange};
use proxy_upstream::{Host, Target, TargetPort};

use super::super::{AcceptProxy, Config, HeaderField, UniqueId};
use proxy_dataplane::settings::RouteConfig;
use proxy_dataplane::settings::SendProxy;
use proxy_dataplane::settings::{Greeting, ListenerConfig};

/// A route of the outer hop, one of its targets, and the listener of the inner hop that this is.
pub(super) struct Link<'c> {
    /// The route's position.
    pub(super) index: usize,
    pub(super) route: &'c RouteConfig,
    /// The ports that clients reach it by.
    pub(super) ports: &'c [PortRange],
    /// The target's position in the route, and how many there are.
    pub(super) target: (usize, usize),
    pub(super) listener: &'c ListenerConfig,
    pub(super) peer: Peer,
}

/// Which address the outer hop connects from, as far as that follows from the one it connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// This one, which is of the same machine.
    Loopback(IpAddr),
    /// One that is not on loopback.
    Elsewhere,
    /// Any: the target is a name.
    Unknown,
}

/// All links between two hops. One for each listener and route: a second target that leads to the same one is the same.
pub(super) fn between<'c>(outer: &'c Config, inner: &'c Config) -> Vec<Link<'c>> {
    let routes = outer.settings.routes.routes().filter(|route| route.spec.enabled);
    routes.flat_map(|route| of_route(&route, &inner.settings.listeners)).collect()
}

fn of_route<'c>(route: &Matched<'c, RouteConfig>, listeners: &'c [ListenerConfig]) -> Vec<Link<'c>> {
    let targets = route.payload.action.targets();
    let ports = &*route.spec.matches.ports;
    let mut links: Vec<Link<'c>> = Vec::new();
    for (nth, target) in targets.iter().enumerate() {
        let Target::Tcp { host, port } = target else { continue };
        let met = match port {
            TargetPort::Fixed(port) => vec![on(listeners, *port, *port)],
            TargetPort::Preserve => {
                ports.iter().map(|range| on(listeners, range.first(), range.last())).collect()
            }
        };
        for listener in met.into_iter().flatten() {
            if links.iter().any(|link| link.listener == listener) {
                continue;
            }
            let target = (nth, targets.len());
            links.extend(as_whom(host, listener).map(|peer| Link {
                index: route.index,
                route: route.payload,
                ports,
                target,
                listener,
                peer,
            }));
        }
    }
    links
}

/// The listeners of these ports, of which there are some in ascending order.
fn on(listeners: &[ListenerConfig], first: u16, last: u16) -> &[ListenerConfig] {
    let from = listeners.partition_point(|listener| listener.port < first);
    let to = listeners.partition_point(|listener| listener.port <= last);
    listeners.get(from..to).unwrap_or_default()
}

/// As whom a connection to `host` comes to `listener`; None if it does not.
fn as_whom(host: &Host, listener: &ListenerConfig) -> Option<Peer> {
    match host {
        Host::Ip(ip) => {
            let ip = ip.to_canonical();
            reaches(ip, listener.bind).then(|| from(ip))
        }
        // The one name that is this machine everywhere (RFC 6761, section 6.3).
        Host::Name(name) if matches!(name.trim_end_matches('.'), "localhost") => {
            let local = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            local.into_iter().find(|ip| reaches(*ip, listener.bind)).map(Peer::Loopback)
        }
        Host::Name(_) => Some(Peer::Unknown),
    }
}

/// Whether a connection to `ip` can land on a socket that is bound so: one of another machine has whatever addresses.
fn reaches(ip: IpAddr, bind: BindAddr) -> bool {
    match bind {
        BindAddr::Dual => true,
        BindAddr::Ip(bound) if bound.is_unspecified() => bound.is_ipv4() == ip.is_ipv4(),
        BindAddr::Ip(bound) => {
            bound == ip || (ip.is_unspecified() && bound.is_loopback() && bound.is_ipv4() == ip.is_ipv4())
        }
    }
}

/// Who connects to `ip`: to loopback from loopback alone, and to nowhere else from there.
fn from(ip: IpAddr) -> Peer {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_unspecified() => {
            Peer::Loopback(Ipv4Addr::LOCALHOST.into())
        }
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => {
            Peer::Loopback(Ipv6Addr::LOCALHOST.into())
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Peer::Elsewhere,
    }
}

impl Link<'_> {
    /// Whether the outer hop sends a header over it.
    pub(super) fn sends(&self) -> bool {
        self.route.send_proxy != SendProxy::Off
    }

    /// What the inner hop expects of the outer one; None where that depends on an address that is not known.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        if self.listener.hop.is_some() {
            return Some(Greeting::Header);
        }
        let accept = &self.listener.accept_proxy;
        let Some((_, networks)) = accept.believed() else { return Some(Greeting::Plain) };
        match self.peer {
            Peer::Loopback(ip) => Some(accept.greeting(ip)),
            Peer::Elsewhere if networks.iter().all(|network| network.net().addr().is_loopback()) => {
                // Nobody there is believed.
                Some(if matches!(accept, AcceptProxy::Required(_)) {
                    Greeting::Refused
                } else {
                    Greeting::Plain
                })
            }
            // Whoever is let in there has to send one.
            Peer::Elsewhere | Peer::Unknown if matches!(accept, AcceptProxy::Required(_)) => {
                Some(Greeting::Header)
            }
            Peer::Elsewhere | Peer::Unknown => None,
        }
    }

    /// What to write for the address that the outer hop comes from.
    pub(super) fn network(&self, outer: &str) -> String {
        match self.peer {
            Peer::Loopback(IpAddr::V4(ip)) => format!("\"{ip}/32\""),
            Peer::Loopback(IpAddr::V6(ip)) => format!("\"{ip}/128\""),
            Peer::Elsewhere | Peer::Unknown => format!("the address that {outer} connects from"),
        }
    }

    /// How many proxies the inner hop knows a connection to have come through, where the outer one knows of `before`.
    pub(super) fn proxies(&self, before: usize) -> usize {
        match self.route.send_proxy {
            SendProxy::Off => 0,
            SendProxy::V1 { .. } => 1,
            SendProxy::V2(content) => {
                let trail = content.fields.has(HeaderField::UniqueId) && content.unique_id == UniqueId::Trail;
                if trail { before + 1 } else { 1 }
            }
        }
    }
}
