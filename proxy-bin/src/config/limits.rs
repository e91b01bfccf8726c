//! What there may be of at most, in all and for each client.

use std::num::NonZeroU32;

use proxy_conn::AddressLimitsOptions;
use proxy_conn::limits::V6Prefix;
use schemars::JsonSchema;
use serde::Deserialize;

use super::at_limit::AtLimit;
use super::bounded::{Size, Whole};
use super::cap::Cap;
use super::document::Document;
use super::file::ConfigFile;
use super::finding::Finding;
use super::memory::Memory;

/// A number of connections, of which there is at least one.
pub type Connections = Whole<1, { u32::MAX }>;

/// Clients that are counted at once, unless more connections than this may come. A place takes some 60 bytes.
const TRACKED_CLIENTS: u32 = 1 << 16;

/// SmartProxy's limits for each client.
const PER_CLIENT: u32 = 100;
const PER_CLIENT_PER_MINUTE: u32 = 300;

/// What the proxy, one client and one connection may use at most.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at one time, in all; at least 1. Default: as many as the limit of open files allows.
    pub max_connections: Option<Connections>,
    /// Connections at one time of each client address, that of the PROXY header where one was received; at least 1, or
    /// `"off"`. Default 100. Where many clients share one address (behind a proxy that sends no header), raise it or
    /// switch it off.
    pub connections_per_client: Cap,
    /// Connections that each client address may open in a minute; at least 1, or `"off"`. That many may come at once,
    /// then one at a time. Default 300.
    pub connections_per_client_per_minute: Cap,
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
    /// Bytes of a TLS ClientHello that are read in search of a name; a longer one has none. From 1KiB to 64KiB.
    /// Default 16KiB.
    pub max_client_hello: Size<1024, { 64 << 10 }>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            connections_per_client: Cap::At(Connections::nearest(PER_CLIENT)),
            connections_per_client_per_minute: Cap::At(Connections::nearest(PER_CLIENT_PER_MINUTE)),
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
        let (at_once, per_minute) = (self.connections_per_client, self.connections_per_client_per_minute);
        if (at_once, per_minute) == (Cap::Off, Cap::Off) {
            return None;
        }
        // A limit that no process reaches is none: of 4 294 967 295 connections, or 71 million a second.
        let number = |cap: Cap| cap.number().map_or(NonZeroU32::MAX, Connections::non_zero);
        Some(AddressLimitsOptions {
            connections_per_client: number(at_once),
            connections_per_client_per_minute: number(per_minute),
            ipv6_prefix: self.ipv6_prefix,
            client_table_capacity: self.capacity().non_zero(),
        })
    }

    fn capacity(&self) -> Connections {
        let connections = self.max_connections.map_or(0, Connections::get);
        self.tracked_clients.unwrap_or_else(|| Connections::nearest(connections.max(TRACKED_CLIENTS)))
    }
}

/// Warnings about limits that do not do what they seem to. The file has to be whole.
pub(super) fn warnings(file: &ConfigFile, document: &Document<'_>) -> Vec<Finding> {
    let mut findings = idle(file, document);
    findings.extend(too_few_clients(&file.limits, document));
    if let Some(most) = file.limits.max_connections {
        beyond(most, file, document, &mut findings);
    }
    findings
}

/// What is said about clients although none is counted.
fn idle(file: &ConfigFile, document: &Document<'_>) -> Vec<Finding> {
    let place = document.root().key("limits");
    let written = ["ipv6_prefix", "tracked_clients"].map(|key| (key, place.key(key)));
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
fn beyond(most: Connections, file: &ConfigFile, document: &Document<'_>, findings: &mut Vec<Finding>) {
    let root = document.root();
    let whole = root.key("limits").key("max_connections").span();
    let key = "max_connections";
    let pools = file.pools.iter().map(|(name, pool)| {
        (pool.max_connections, root.key("pools").key(name.as_str()).key(key), format!("pool \"{name}\""))
    });
    let listeners = file.listeners.iter().enumerate().map(|(index, listener)| {
        (listener.max_connections, root.key("listeners").index(index).key(key), "a listener".to_owned())
    });
    let routes = file.routes.iter().enumerate().flat_map(|(index, route)| {
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
    for (limit, place, whose) in pools.chain(listeners).chain(routes) {
        if let Some(limit) = limit.filter(|limit| limit.get() > most.get()) {
            findings.push(
                Finding::new(place.span(), format!("the limit of {whose} is never met"))
                    .label(format!("{limit} are more than all together may be"))
                    .beside(whole.clone(), format!("the whole proxy takes {most}")),
            );
        }
    }
}
