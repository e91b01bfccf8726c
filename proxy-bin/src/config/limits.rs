//! What there may be of at most, in all and for each client.

use std::num::NonZeroU32;

use proxy_conn::AddressLimitsOptions;
use proxy_conn::limits::V6Prefix;
use proxy_dataplane::settings::{AtLimit, Connections};
use proxy_route::ClientNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::cap::Cap;
use super::document::Document;
use super::file::{ConfigFile, RouteFile};
use super::finding::Finding;
use super::memory::Memory;
use proxy_values::Size;

/// Clients that are counted at once, unless more connections than this may come. A place takes some 60 bytes.
const TRACKED_CLIENTS: u32 = 1 << 16;

/// SmartProxy's limits for each client, but for those on loopback.
const PER_CLIENT: u32 = 100;
const PER_CLIENT_PER_MINUTE: u32 = 300;

/// What the proxy, one client and one connection may use at most.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at one time, in all; at least 1. Default: as many as the limit of open files allows.
    pub max_connections: Option<Connections>,
    /// Connections at one time that have no route yet and have to be waited for: for the rest of a PROXY header or of a
    /// ClientHello, of which each may hold `max_client_hello` in memory. For one more, that which was waited for longest is
    /// ended. At least 1. Default: half of `max_connections`, 16384 at most.
    pub max_unrouted_connections: Option<Connections>,
    /// Connections at one time of each client address, from accept on; at least 1, or `"off"`. A peer from which a PROXY
    /// header is taken counts for nothing itself: the client in its header does. Default 100, and on loopback no limit:
    /// what is written here is for loopback too. Where many clients share another address (behind a proxy that sends no
    /// header), see `unlimited_clients`.
    pub connections_per_client: Option<Cap>,
    /// Connections that each client address may open in a minute; at least 1, or `"off"`. That many may come at once,
    /// then one at a time. Default 300, and on loopback no limit, as above.
    pub connections_per_client_per_minute: Option<Cap>,
    /// Networks whose addresses may have as many connections as they like, and open them as fast: of proxies that send no
    /// PROXY header, of load generators. Default: none.
    pub unlimited_clients: Vec<ClientNet>,
    /// The length of the network, from 32 to 128 bits, that an IPv6 client counts as: a single client has a whole one,
    /// and could take a new address in it for every connection. Default 64.
    pub ipv6_prefix: V6Prefix,
    /// Client addresses that are counted at most; at least 1. When all of them have connections open, further clients are
    /// turned away. Only with a limit for each client. Default 65536, or `max_connections` if that is more.
    pub tracked_clients: Option<Connections>,
    /// Memory of the process against which the pools' overload breakers act; it is not a limit by itself. What counts is
    /// what is allocated beyond what the process needs without any connection; what was freed is given back before anybody
    /// is refused. From 16MiB to 1TiB. Default: memory is not watched.
    pub max_memory: Option<Memory>,
    /// What happens to a connection that meets the limit of its listener, and of its pool and its route unless those say
    /// otherwise: `"reject"` resets it, `"close"` ends it in order, `{ queue = { most_waiting = 100, longest_wait = "5s" } }`
    /// lets it wait. Default `"reject"`.
    pub at_limit: AtLimit,
    /// Bytes kept from a client while its backend is being dialled; more wait in the kernel. At most 16MiB. Default
    /// 64KiB.
    pub early_data: Size<0, { 16 << 20 }>,
    /// Bytes of a TLS ClientHello that are read in search of a name; for a longer one see `unreadable_hello` of the
    /// listeners. From 1KiB to 64KiB. Default 16KiB.
    pub max_client_hello: Size<1024, { 64 << 10 }>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            max_unrouted_connections: None,
            connections_per_client: None,
            connections_per_client_per_minute: None,
            unlimited_clients: Vec::new(),
            ipv6_prefix: V6Prefix::default(),
            tracked_clients: None,
            max_memory: None,
            at_limit: AtLimit::default(),
            early_data: Size::kib(64),
            max_client_hello: Size::kib(16),
        }
    }
}

impl Limits {
    /// The limits of each client; `None` if there are none, and then clients need not be counted.
    #[must_use]
    pub fn clients(&self) -> Option<AddressLimitsOptions> {
        let (at_once, per_minute) = self.per_client();
        if (at_once, per_minute) == (Cap::Off, Cap::Off) {
            return None;
        }
        // A limit that no process reaches is none: of 4 294 967 295 connections, or 71 million a second.
        let number = |cap: Cap| cap.number().map_or(NonZeroU32::MAX, Connections::non_zero);
        Some(
            AddressLimitsOptions::default()
                .connections_per_client(number(at_once))
                .connections_per_client_per_minute(number(per_minute))
                .local_connections_per_client(number(self.connections_per_client.unwrap_or(Cap::Off)))
                .local_connections_per_client_per_minute(number(
                    self.connections_per_client_per_minute.unwrap_or(Cap::Off),
                ))
                .ipv6_prefix(self.ipv6_prefix)
                .client_table_capacity(self.capacity().non_zero()),
        )
    }

    /// What each client may have that is not on loopback: at once, and in a minute.
    fn per_client(&self) -> (Cap, Cap) {
        let or = |written: Option<Cap>, most| written.unwrap_or(Cap::At(Connections::nearest(most)));
        let at_once = or(self.connections_per_client, PER_CLIENT);
        (at_once, or(self.connections_per_client_per_minute, PER_CLIENT_PER_MINUTE))
    }

    /// What each client may have, in one line for an operator, and whether that is written anywhere.
    #[must_use]
    pub fn of_each_client(&self) -> String {
        let (at_once, per_minute) = self.per_client();
        let origin =
            |written: Option<Cap>| if written.is_some() { "" } else { " (default; none on loopback)" };
        let at_once = at_once
            .number()
            .map(|most| format!("{most} connections at once{}", origin(self.connections_per_client)));
        let per_minute = per_minute.number().map(|most| {
            format!("{most} new ones a minute{}", origin(self.connections_per_client_per_minute))
        });
        let limits: Vec<String> = at_once.into_iter().chain(per_minute).collect();
        if limits.is_empty() { "no limit of its own".to_owned() } else { limits.join(", ") }
    }

    fn capacity(&self) -> Connections {
        let connections = self.max_connections.map_or(0, Connections::get);
        self.tracked_clients.unwrap_or_else(|| Connections::nearest(connections.max(TRACKED_CLIENTS)))
    }
}

/// Warnings about limits that do not do what they seem to. The file has to be whole.
pub(super) fn warnings(file: &ConfigFile, routes: &[RouteFile], document: &Document<'_>) -> Vec<Finding> {
    let mut findings = idle(file, document);
    findings.extend(too_few_clients(&file.limits, document));
    if let Some(most) = file.limits.max_connections {
        beyond(most, (file, routes), document, &mut findings);
    }
    findings
}

/// What is said about clients although none is counted.
fn idle(file: &ConfigFile, document: &Document<'_>) -> Vec<Finding> {
    let place = document.root().key("limits");
    let written = ["ipv6_prefix", "tracked_clients", "unlimited_clients"].map(|key| (key, place.key(key)));
    let counted = file.limits.clients().is_some();
    let idle = written.into_iter().filter(|(_, place)| !counted && place.exists());
    idle.map(|(key, place)| {
        Finding::new(place.span(), format!("`{key}` has no effect"))
            .label("clients are not counted")
            .help("it needs `connections_per_client` or `connections_per_client_per_minute`")
    })
    .collect()
}

/// A table of clients that is full before the proxy is.
fn too_few_clients(limits: &Limits, document: &Document<'_>) -> Option<Finding> {
    let (tracked, most) = (limits.tracked_clients?, limits.max_connections?);
    if limits.clients().is_none() || tracked.get() >= most.get() {
        return None;
    }
    let place = document.root().key("limits");
    let title = format!("only {tracked} clients can be counted, and {most} connections may be open");
    let help = format!(
        "once {tracked} clients have connections, others are turned away: \
         leave `tracked_clients` out, and there is room for all"
    );
    let finding = Finding::new(place.key("tracked_clients").span(), title);
    Some(finding.beside(place.key("max_connections").span(), "each may be of another client").help(help))
}

/// Limits of a part that are above that of the whole.
fn beyond(
    most: Connections,
    (file, routes): (&ConfigFile, &[RouteFile]),
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) {
    let never_met = |limit: &Option<Connections>| limit.filter(|limit| limit.get() > most.get());
    let root = document.root();
    let whole = root.key("limits").key("max_connections").span();
    let key = "max_connections";
    let pools = file.pools.iter().map(|(name, pool)| {
        (pool.max_connections, root.key("pools").named(name.as_str()).key(key), format!("pool \"{name}\""))
    });
    let listeners = file.listeners.iter().enumerate().map(|(index, listener)| {
        (listener.max_connections, root.key("listeners").index(index).key(key), "a listener".to_owned())
    });
    let member = "max_connections_per_member";
    let groups = file.groups.iter().map(|(name, group)| {
        let place = root.key("groups").named(name.as_str()).key(member);
        (group.max_connections_per_member, place, format!("each member of group \"{name}\""))
    });
    let limits = |route: &RouteFile| [route.max_connections, route.max_connections_per_target];
    let routes = routes.iter().enumerate();
    let routes = routes.filter(|(_, route)| limits(route).iter().any(|limit| never_met(limit).is_some()));
    let routes = routes.flat_map(|(index, route)| {
        let place = root.key("routes").index(index);
        let name = &route.name;
        [
            (route.max_connections, place.key(key), format!("route \"{name}\"")),
            (
                route.max_connections_per_target,
                place.key("max_connections_per_target"),
                format!("each backend of route \"{name}\""),
            ),
        ]
    });
    let unrouted = (
        file.limits.max_unrouted_connections,
        root.key("limits").key("max_unrouted_connections"),
        "connections without a route".to_owned(),
    );
    for (limit, place, whose) in
        [unrouted].into_iter().chain(pools).chain(groups).chain(listeners).chain(routes)
    {
        if let Some(limit) = never_met(&limit) {
            findings.push(
                Finding::new(place.span(), format!("the limit of {whose} is never met"))
                    .label(format!("{limit} are more than all together may be"))
                    .beside(whole.clone(), format!("the whole proxy takes {most}")),
            );
        }
    }
}
