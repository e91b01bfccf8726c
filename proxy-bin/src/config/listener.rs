//! Listening sockets: which ports follows from the routes, on which addresses and how from `[[listeners]]`.

use std::collections::HashSet;

use proxy_core::BindAddr;
use proxy_dataplane::settings::ListenerConfig;
use proxy_route::PortRange;

use super::acme::AcmeFile;
use super::document::{Document, Place};
use super::file::{ConfigFile, ListenerFile, RouteFile};
use super::finding::Finding;
use super::tls;

/// Listening sockets at most. Each is held by every worker, and a route for all ports is a slip rather than a wish.
pub(super) const MOST_SOCKETS: usize = 4096;

fn resolved(
    file: &ListenerFile,
    (whole, tls): (&ConfigFile, &tls::Loaded),
    bind: BindAddr,
    port: u16,
) -> ListenerConfig {
    ListenerConfig {
        backlog: file.backlog,
        accept_proxy: file.accept_proxy.clone(),
        hop: tls.hop(file.hop.as_ref()),
        unreadable_hello: file.unreadable_hello,
        max_connections: file.max_connections,
        at_limit: whole.limits.at_limit,
        congestion: file.congestion.unwrap_or(whole.congestion),
        ..ListenerConfig::on(bind, port)
    }
}

/// The place of a listeners table.
pub(super) fn place<'d, 't>(document: &'d Document<'t>, table: usize) -> Place<'d, 't> {
    document.root().key("listeners").index(table)
}

/// The table that a listening socket comes from; None for one that no table is about.
pub(super) fn table_of(file: &ConfigFile, at: &ListenerConfig) -> Option<usize> {
    let about = |table: &ListenerFile| {
        is_about(table, at.port) && table.bind.iter().any(|bind| canonical(*bind) == at.bind)
    };
    file.listeners.iter().position(about)
}

/// Listeners that believe a PROXY header of anybody who can connect. The file has to be whole.
pub(super) fn warnings(file: &ConfigFile, document: &Document<'_>) -> Vec<Finding> {
    let is_local = |bind: &BindAddr| matches!(canonical(*bind), BindAddr::Ip(ip) if ip.is_loopback());
    let believes_all = |(index, table): (usize, &ListenerFile)| {
        let (key, networks) = table.accept_proxy.believed()?;
        let all = networks.iter().position(|network| network.net().prefix_len() == 0)?;
        let reached = !table.bind.iter().all(is_local);
        let span = place(document, index).key("accept_proxy").key(key).index(all).span();
        reached.then(|| {
            Finding::new(span, "a PROXY header is believed from everybody")
                .label("whoever can connect here may claim any address as a client's")
                .help("write the addresses of the proxies before this one, or `bind` to an address that only they can reach")
        })
    };
    file.listeners.iter().enumerate().filter_map(believes_all).collect()
}

/// All listening sockets, by port.
pub(super) fn expand(
    (file, tls): (&ConfigFile, &tls::Loaded),
    routes: &[RouteFile],
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<ListenerConfig> {
    let enabled = routes.iter().filter(|route| route.enabled);
    let of_routes = enabled.flat_map(|route| route.matches.ports.iter().copied());
    // Challenges come to a port that no route need have.
    let for_challenges = file.acme.as_ref().and_then(AcmeFile::http_port);
    let for_challenges = for_challenges.and_then(|port| PortRange::try_from(port).ok());
    let ports = merged(of_routes.chain(for_challenges).collect());
    for (index, table) in file.listeners.iter().enumerate() {
        check(table, &place(document, index), findings);
        tls::check_listener(table, &place(document, index), findings);
        if !document.is_wounded() {
            known_ports(table, &ports, &place(document, index), routes, findings);
        }
    }
    let wanted: usize = ports.iter().map(|range| usize::from(range.last() - range.first()) + 1).sum();
    if wanted > MOST_SOCKETS {
        findings.push(too_many(routes, document));
        return Vec::new();
    }
    let mut sockets =
        Sockets { file, tls, document, findings, reported: HashSet::new(), listeners: Vec::new() };
    for port in ports.into_iter().flat_map(|range| range.first()..=range.last()) {
        sockets.open(port);
        if sockets.listeners.len() > MOST_SOCKETS {
            findings.push(too_many(routes, document));
            return Vec::new();
        }
    }
    sockets.listeners
}

/// The sockets that were found so far.
struct Sockets<'a, 'd, 't> {
    file: &'a ConfigFile,
    tls: &'a tls::Loaded,
    document: &'d Document<'t>,
    findings: &'a mut Vec<Finding>,
    /// Pairs of table and bind address that are known to collide; one port of each is enough.
    reported: HashSet<[(usize, usize); 2]>,
    listeners: Vec<ListenerConfig>,
}

impl Sockets<'_, '_, '_> {
    /// Adds the sockets of one port.
    fn open(&mut self, port: u16) {
        let mut claims: Vec<(BindAddr, (usize, usize))> = Vec::new();
        for (index, table) in
            self.file.listeners.iter().enumerate().filter(|(_, table)| is_about(table, port))
        {
            for (nth, bind) in table.bind.iter().enumerate() {
                let (bind, claim) = (canonical(*bind), (index, nth));
                match claims.iter().find(|(taken, _)| collide(*taken, bind)) {
                    Some((taken, first)) => self.collision(port, (*taken, *first), (bind, claim)),
                    None => {
                        self.listeners.push(resolved(table, (self.file, self.tls), bind, port));
                        claims.push((bind, claim));
                    }
                }
            }
        }
        if claims.is_empty() {
            let table = ListenerFile::default();
            self.listeners.push(resolved(&table, (self.file, self.tls), BindAddr::Dual, port));
        }
    }

    fn collision(
        &mut self,
        port: u16,
        first: (BindAddr, (usize, usize)),
        second: (BindAddr, (usize, usize)),
    ) {
        if !self.reported.insert([first.1, second.1]) {
            return;
        }
        let document = self.document;
        let span = |(table, nth): (usize, usize)| place(document, table).key("bind").index(nth).span();
        let label = if first.0 == second.0 { "the same again" } else { "a connection could go to either" };
        let one_table = first.1.0 == second.1.0;
        self.findings.push(
            Finding::new(span(second.1), format!("port {port} is listened on twice at the same address"))
                .label(label)
                .beside(span(first.1), format!("{} is listened on here", name(first.0)))
                .help(if one_table {
                    "remove one of them"
                } else {
                    "give the two tables different `ports` or `bind`"
                }),
        );
    }
}

fn name(bind: BindAddr) -> String {
    match bind {
        BindAddr::Dual => "every address".to_owned(),
        BindAddr::Ip(ip) => ip.to_string(),
    }
}

fn is_about(table: &ListenerFile, port: u16) -> bool {
    table.ports.as_ref().is_none_or(|ranges| ranges.iter().any(|range| range.contains(port)))
}

/// An IPv4-mapped address is the IPv4 address that it is.
pub(super) fn canonical(bind: BindAddr) -> BindAddr {
    match bind {
        BindAddr::Ip(ip) => BindAddr::Ip(ip.to_canonical()),
        BindAddr::Dual => BindAddr::Dual,
    }
}

/// Whether both would get the same connections. An address and all addresses do not: the kernel gives a connection to
/// the socket that is bound to its address.
fn collide(one: BindAddr, other: BindAddr) -> bool {
    match (one, other) {
        (BindAddr::Dual, BindAddr::Dual) => true,
        (BindAddr::Ip(one), BindAddr::Ip(other)) => one == other,
        (BindAddr::Dual, BindAddr::Ip(ip)) | (BindAddr::Ip(ip), BindAddr::Dual) => ip.is_unspecified(),
    }
}

/// What is wrong with one table alone.
fn check(table: &ListenerFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let mut refuse = |place: Place<'_, '_>, title: &str, label: &str| {
        if !place.is_wounded() {
            findings.push(Finding::new(place.span(), title).label(label));
        }
    };
    if table.ports.as_ref().is_some_and(Vec::is_empty) {
        refuse(
            place.key("ports"),
            "this listener is about no port",
            "leave `ports` out for all ports of the routes",
        );
    }
    if table.bind.is_empty() {
        refuse(place.key("bind"), "this listener has no address", "leave `bind` out for every address");
    }
    let Some((key, networks)) = table.accept_proxy.believed() else { return };
    if networks.is_empty() {
        let place = place.key("accept_proxy").key(key);
        refuse(
            place,
            "`accept_proxy` trusts nobody",
            "name the networks that the proxies in front of this one are in",
        );
    }
}

/// That the table is about ports which are listened on.
fn known_ports(
    table: &ListenerFile,
    known: &[PortRange],
    place: &Place<'_, '_>,
    routes: &[RouteFile],
    findings: &mut Vec<Finding>,
) {
    for (nth, range) in table.ports.iter().flatten().enumerate() {
        if known.iter().any(|known| known.overlap(*range).is_some()) {
            continue;
        }
        let disabled = routes.iter().find(|route| {
            !route.enabled && route.matches.ports.iter().any(|ports| ports.overlap(*range).is_some())
        });
        let help = match disabled {
            Some(route) => format!("route \"{}\" has it, but is not enabled", route.name.as_str()),
            None => format!("ports are opened by routes; theirs are {}", listed(known)),
        };
        let span = place.key("ports").index(nth).span();
        findings.push(Finding::new(span, format!("no enabled route has port {range}")).help(help));
    }
}

fn listed(ranges: &[PortRange]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = ranges.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if ranges.len() > SHOWN { ", …" } else { "" };
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") + more }
}

/// That the ports are too many, pointing at the range that is most of them.
fn too_many(routes: &[RouteFile], document: &Document<'_>) -> Finding {
    at_widest_range(routes, document, format!("more than {MOST_SOCKETS} listening sockets")).help(
        "each port needs a socket for each address in `bind`, which is one unless [[listeners]] has more",
    )
}

/// What is wrong with how many ports there are, said where most of them are.
pub(super) fn at_widest_range(routes: &[RouteFile], document: &Document<'_>, title: String) -> Finding {
    let ranges = routes.iter().enumerate().filter(|(_, route)| route.enabled).flat_map(|(index, route)| {
        route
            .matches
            .ports
            .iter()
            .enumerate()
            .map(move |(nth, range)| (range.last() - range.first(), index, nth))
    });
    let widest = ranges.max_by_key(|(width, ..)| *width).unwrap_or_default();
    let (width, index, nth) = widest;
    let span = super::route::place(document, index).key("match").key("ports").index(nth).span();
    let ports = if width == 0 { "1 port".to_owned() } else { format!("{} ports", usize::from(width) + 1) };
    Finding::new(span, title).label(format!("this is the widest range, with {ports}"))
}

/// The same ports in ascending ranges that do not overlap.
fn merged(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable();
    let mut merged: Vec<PortRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.first() <= last.last() => {
                *last = PortRange::new(last.first(), last.last().max(range.last())).unwrap_or(*last);
            }
            Some(_) | None => merged.push(range),
        }
    }
    merged
}
