//! The configuration file as it is written. These types are its reference: the schema, and `docs/` from it, take
//! their descriptions from the comments here, which speak to an operator.
//!
//! Keys that are not known are refused at every level. No type here uses serde's `flatten`, `untagged` or internally
//! tagged enums: they read a value through a copy that has no position in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use proxy_conn::{AuditOptions, DeadlineOverrides, OverloadOptions};
use proxy_core::egress::{Interface, Mark};
use proxy_core::{BindAddr, Bound, Congestion, KeepAliveOverrides, Source};
use proxy_dataplane::settings::{
    AcceptProxy, AtLimit, BACKLOG, Backlog, Connections, NextHop, UnreadableHello, Workers,
};
use proxy_route::{Match, PortRange};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::acme::AcmeFile;
use super::admin::Admin;
use super::breaker::BreakerFile;
use super::delay::Delay;
use super::group::{ForwardFile, GroupFile, GroupName};
use super::http::HttpFile;
use super::limits::Limits;
use super::log::Log;
use super::process::Process;
use super::send_proxy::{ProxyV1File, ProxyV2File, SendProxyFile};
use super::tls::{HopFile, TlsFile};
use super::written::{Dns, ProxyProtocol, Reload};
use proxy_values::choice::{self, Choice};

/// SmartProxy's configuration: which ports it listens on, and where it takes each connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "SmartProxy configuration")]
pub(super) struct ConfigFile {
    /// Threads that serve connections, each with its own listening sockets; from 1 to 256. Default: one for each core.
    pub(super) workers: Option<Workers>,
    /// How long connections may go on after the proxy was told to stop; then they are reset. Default 30s.
    pub(super) graceful_shutdown_timeout: Bound,
    /// How long the proxy goes on accepting after it was told to stop, while `/readyz` says already that it is not ready: for
    /// as long as load balancers need to take notice and send nobody any more. Then it stops, as
    /// `graceful_shutdown_timeout` has it. A second signal cuts it short. Default 0s: it stops accepting at once.
    #[schemars(with = "Bound")]
    pub(super) shutdown_delay: Delay,
    /// Deadlines of every connection, unless its pool or its route has others.
    pub(super) timeouts: DeadlineOverrides,
    /// The kernel's keepalive and user timeout on every connection, unless its route has others.
    pub(super) keep_alive: KeepAliveOverrides,
    /// The congestion control of the proxy's own TCP sockets: the backends', and those of clients unless their listener has
    /// another one. `"system"` is the system's default, a name such as `"cubic"` one that the kernel permits
    /// (`net.ipv4.tcp_allowed_congestion_control`). `"auto"` is the system's default too, but on loopback `reno` where that
    /// default is BBR, which paces every flow by timers: that costs CPU, and on loopback wins nothing. Default `"auto"`.
    pub(super) congestion: Congestion,
    /// The addresses that connections to backends come from, by turns, each target's family by those of its own:
    /// `["192.0.2.10", "192.0.2.11", "2001:db8::/64"]`. One address has some 28 000 ports to each target
    /// (`net.ipv4.ip_local_port_range`); one that has none left to a target is passed over. All addresses of a network have to be this
    /// machine's (`ip -6 route add local 2001:db8::/64 dev lo`). `"client"`: the client's own address (`IP_TRANSPARENT`), which needs
    /// `CAP_NET_ADMIN`, and backends whose answers are routed through this machine. `"auto"`: the kernel's choice. Default `"auto"`.
    pub(super) source: Source,
    /// The network interface that connections to backends leave by (`SO_BINDTODEVICE`). Default: what the routing table says.
    pub(super) interface: Option<Interface>,
    /// The mark of packets to backends (`SO_MARK`), for rules of routing and filters, from 1 to 4294967295. Needs `CAP_NET_ADMIN`.
    /// Default: none.
    pub(super) mark: Option<Mark>,
    /// What the proxy, one client and one connection may use at most.
    pub(super) limits: Limits,
    /// Limits, deadlines and overload breakers of groups of connections, such as `[pools.chain]`. The pools `chain`, for
    /// connections that came with a PROXY header or whose backend gets one, and `direct`, for all others, are always
    /// there; a route may name another one, which then needs a table here. At most 64 in all.
    #[schemars(with = "BTreeMap<String, PoolFile>")]
    pub(super) pools: BTreeMap<Name, PoolFile>,
    /// Targets that stand for each other and have a name, such as `[groups.inner]`: a route is taken to them by
    /// `forward = "@inner"`. A route that lists its targets has a group of its own without.
    #[schemars(with = "BTreeMap<String, GroupFile>")]
    pub(super) groups: BTreeMap<GroupName, GroupFile>,
    /// When a backend that can not be reached is left alone, and for how long, unless the route or the group has others.
    pub(super) breaker: BreakerFile,
    /// How often the proxy's connections are compared with the kernel's, and how patiently.
    pub(super) audit: AuditOptions,
    /// PROXY headers that are received. Whether a port takes them is set by `accept_proxy` of its listeners.
    pub(super) proxy_protocol: ProxyProtocol,
    /// How the addresses of backends given by name are looked up and kept.
    pub(super) dns: Dns,
    /// What is logged, how and where to.
    pub(super) log: Log,
    /// Where the admin API is to be found, and who may use it. Without this table there is none.
    #[schemars(with = "Admin")]
    pub(super) admin: Option<Admin>,
    /// How certificates are obtained and renewed for routes with `certificates = "auto"`.
    #[schemars(with = "AcmeFile")]
    pub(super) acme: Option<AcmeFile>,
    /// Who the process is, and what it leaves behind. Takes effect at the start only, but for `upgrade_timeout`.
    pub(super) process: Process,
    /// When this file is read again while the proxy runs, and what becomes of connections whose route it no longer has.
    /// It is read again at any time on SIGHUP, and when `smartproxy reload` asks for it.
    pub(super) reload: Reload,
    /// How the ports of the routes are listened on, where it is not on all addresses and without PROXY headers.
    pub(super) listeners: Vec<ListenerFile>,
    /// Which connections are taken where. At least one.
    pub(super) routes: Vec<RouteFile>,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            workers: None,
            graceful_shutdown_timeout: Bound::secs(30),
            shutdown_delay: Delay::default(),
            timeouts: DeadlineOverrides::default(),
            keep_alive: KeepAliveOverrides::default(),
            congestion: Congestion::default(),
            source: Source::Auto,
            interface: None,
            mark: None,
            limits: Limits::default(),
            pools: BTreeMap::new(),
            groups: BTreeMap::new(),
            breaker: BreakerFile::default(),
            audit: AuditOptions::default(),
            proxy_protocol: ProxyProtocol::default(),
            dns: Dns::default(),
            log: Log::default(),
            admin: None,
            acme: None,
            process: Process::default(),
            reload: Reload::default(),
            listeners: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// A group of connections that share a limit, deadlines and an overload breaker.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PoolFile {
    /// Connections of the pool at one time; at least 1. The overload breaker watches them against this. Default: no limit
    /// but those of `[limits]`.
    pub(super) max_connections: Option<Connections>,
    /// What happens to a connection that meets `max_connections`: `"reject"`, `"close"` or `{ queue = … }`. Default:
    /// that of `[limits]`.
    pub(super) at_limit: Option<AtLimit>,
    /// Deadlines where they differ from `[timeouts]`; a route's own go over them. The pool `chain` has some built in, which
    /// `[timeouts]` goes over: `connection_timeout` 10s, `inactivity_timeout` 10m and `half_closed_timeout` 10s. The last
    /// two and `no_data_timeout` are a tenth shorter for each proxy that a connection came through, and
    /// `max_connection_lifetime` a hundredth, where nobody wrote them: whoever is nearer to the backend is to end a
    /// connection first. `smartproxy check OUTER INNER` compares what is written.
    /// Not `proxy_header_timeout` and `initial_data_timeout`, whose phases end before the pool is known.
    pub(super) timeouts: DeadlineOverrides,
    /// When the pool is overloaded, and what is done then.
    pub(super) overload: OverloadOptions,
}

/// How some of the routes' ports are listened on. Which ports are open follows from the routes alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListenerFile {
    /// The ports that this is about, among those of the routes: `8002` or `"8000-8010"`. Default: all of them.
    pub(super) ports: Option<Vec<PortRange>>,
    /// The local addresses to listen on; `"dual"` is every IPv4 and IPv6 address. Default `["dual"]`.
    pub(super) bind: Vec<BindAddr>,
    /// Connections that wait in the kernel to be accepted; more are not answered. From 1 to 65535. Default 1024.
    pub(super) backlog: Backlog,
    /// Whose PROXY headers are believed: `{ required = [networks] }`, every peer has to be in one of them and to send a
    /// header; `{ required_from = [networks] }`, peers in them have to, all others must not and are clients themselves;
    /// `{ optional = [networks] }`, peers in them may, and without one are clients themselves, as all others are; one that
    /// says nothing, since its server is to speak first, is so after `proxy_header_timeout`. A peer that closes without a
    /// word, as plain health checks do, has left. Default `"off"`: a header is data like any other.
    pub(super) accept_proxy: AcceptProxy,
    /// Other hops are taken here and nobody else: each proves by its certificate that it is one, in TLS that comes before anything else,
    /// and sends a PROXY header inside of it, which is believed whatever its address. The file `"/etc/smartproxy/hop.pem"` with the
    /// identity of this hop (`smartproxy hop-cert` makes it), or a table. Not with `accept_proxy`. Default: anybody is taken, in the
    /// clear.
    pub(super) hop: Option<HopFile>,
    /// What becomes of a connection whose first bytes begin as TLS does but name no server that a route could go by (no whole
    /// ClientHello in `max_client_hello`, one that is malformed, a name that is none), on a port where some route asks for
    /// the name or the protocol: `"refuse"` resets it, for its backend might read a name where the proxy reads none;
    /// `"unnamed"` routes it as one that names nobody. An IP address for a name is always that. Default `"refuse"`.
    pub(super) unreadable_hello: UnreadableHello,
    /// Connections at one time that came to each address and port of this table, to all workers together; at least 1.
    /// `at_limit` of `[limits]` says what happens beyond. Default: no limit but the others.
    pub(super) max_connections: Option<Connections>,
    /// The congestion control of the clients' sockets. For `"auto"`, the address in `bind` says whether they are on loopback;
    /// `"dual"` is not. Default: that of the whole proxy.
    pub(super) congestion: Option<Congestion>,
}

impl Default for ListenerFile {
    fn default() -> Self {
        Self {
            ports: None,
            bind: vec![BindAddr::Dual],
            backlog: BACKLOG,
            accept_proxy: AcceptProxy::Off,
            hop: None,
            unreadable_hello: UnreadableHello::Refuse,
            max_connections: None,
            congestion: None,
        }
    }
}

/// Which connections are taken where. When several routes match, the higher priority wins, then the more specific
/// match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteFile {
    /// The name in logs, metrics and errors. Unique.
    pub(super) name: Name,
    /// Wins over any difference in how specific two matches are; may be negative. Default 0.
    #[serde(default)]
    pub(super) priority: i32,
    /// Whether the route is in use; if not, it matches nothing and opens no port. Default true.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// Which connections it takes.
    #[serde(rename = "match")]
    pub(super) matches: Match,
    /// What is done with them: `{ forward = [targets] }`, they are taken to one of these backends, in turn, where those that
    /// can not be reached are passed over; `{ forward = "@NAME" }`, they are taken to a member of the group of that name, as
    /// `[groups.NAME]` has it; or `"refuse"`, they are closed with a reset.
    pub(super) action: ActionFile,
    /// The PROXY header that the backend gets in front of the client's bytes: `"v1"`, `"v2"` or `"off"`. The backend
    /// has to expect it. Default `"off"`.
    #[serde(default)]
    pub(super) send_proxy: SendProxyFile,
    /// What the backends are that get it: `"smartproxy"` for another SmartProxy, `"other"` for anything else. A SmartProxy
    /// learns where a client is unknown, and all that is known. Only with `send_proxy`. Default `"other"`.
    pub(super) next_hop: Option<NextHop>,
    /// How a header of version 1 is written. Only with `send_proxy = "v1"`.
    pub(super) proxy_v1: Option<ProxyV1File>,
    /// What a header of version 2 has beside the addresses. Only with `send_proxy = "v2"`.
    pub(super) proxy_v2: Option<ProxyV2File>,
    /// The pool that its connections are in. Default: `"chain"` for those that came with a PROXY header, or for all
    /// where `send_proxy` is not off; else `"direct"`.
    pub(super) pool: Option<Name>,
    /// Connections of the route at one time; at least 1. Default: no limit but the others.
    pub(super) max_connections: Option<Connections>,
    /// Connections at one time, of this route, to each of its backends; at least 1. A backend that has as many is passed
    /// over. Not with a group, which has `max_connections_per_member`. Default: no limit but the others.
    pub(super) max_connections_per_target: Option<Connections>,
    /// What happens to a connection that meets `max_connections`: `"reject"`, `"close"` or `{ queue = … }`. Default:
    /// that of `[limits]`.
    pub(super) at_limit: Option<AtLimit>,
    /// When a backend that can not be reached is left alone, where that differs from `[breaker]`. Not with a group, which has
    /// its own.
    #[serde(default)]
    pub(super) breaker: BreakerFile,
    /// Deadlines where they differ from `[timeouts]` and from those of the pool. Not `proxy_header_timeout` and
    /// `initial_data_timeout`, whose phases end before the route is known.
    #[serde(default)]
    pub(super) timeouts: DeadlineOverrides,
    /// The kernel's keepalive and user timeout where they differ from `[keep_alive]`.
    #[serde(default)]
    pub(super) keep_alive: KeepAliveOverrides,
    /// The congestion control of connections to its backends. Default: that of the whole proxy.
    pub(super) congestion: Option<Congestion>,
    /// The addresses that connections to its backends come from. Default: that of the whole proxy.
    #[serde(default)]
    pub(super) source: Option<Source>,
    /// The network interface that connections to its backends leave by. Default: that of the whole proxy.
    pub(super) interface: Option<Interface>,
    /// The mark of packets to its backends. Default: that of the whole proxy.
    pub(super) mark: Option<Mark>,
    /// What is done with TLS: `"passthrough"`, a client's passes through as it is; `{ terminate = … }`, it ends here; `{ reencrypt = … }`,
    /// TLS is spoken to the backends; or both. Default `"passthrough"`.
    #[serde(default)]
    pub(super) tls: TlsFile,
    /// The backends are other hops, which take hops on that port: they are gone to by TLS, each proves to the other that it is one, and
    /// a PROXY header of version 2 goes inside, as `send_proxy = "v2"` and `next_hop = "smartproxy"` have it. What a client says is
    /// inside as well, its own TLS too. The file with the identity of this hop, or a table, as of `[[listeners]]`. Default: none is.
    pub(super) hop: Option<HopFile>,
    /// Whether its clients speak HTTP/1.1, or 1.0, and are served by requests: each is taken to a backend by itself, over a connection
    /// that is kept for the next one. `true`, or a table that says more. Default false: what a client says goes on as it comes.
    #[serde(default)]
    pub(super) http: HttpFile,
}

impl RouteFile {
    /// Whether it says only what it takes, and where: then it has the settings of all that do. So it is with nearly every route
    /// of a large file.
    pub(super) fn is_plain(&self) -> bool {
        let Self {
            name: _,
            priority: _,
            enabled: _,
            matches: _,
            action: _,
            send_proxy,
            next_hop,
            proxy_v1,
            proxy_v2,
            pool,
            max_connections,
            max_connections_per_target,
            at_limit,
            breaker,
            timeouts,
            keep_alive,
            congestion,
            source,
            interface,
            mark,
            tls,
            hop,
            http,
        } = self;
        *send_proxy == SendProxyFile::Off
            && next_hop.is_none()
            && proxy_v1.is_none()
            && proxy_v2.is_none()
            && pool.is_none()
            && max_connections.is_none()
            && max_connections_per_target.is_none()
            && at_limit.is_none()
            && *breaker == BreakerFile::default()
            && *timeouts == DeadlineOverrides::default()
            && *keep_alive == KeepAliveOverrides::default()
            && congestion.is_none()
            && source.is_none()
            && interface.is_none()
            && mark.is_none()
            && tls.is_passthrough()
            && hop.is_none()
            && *http == HttpFile::Off
    }
}

fn yes() -> bool {
    true
}

/// The name of a route or of a pool: 1 to 64 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
pub(super) struct Name(#[schemars(length(min = 1, max = 64))] Arc<str>);

/// A text that can not be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 characters, none of them a control character")]
pub(super) struct NameError;

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=64).contains(&text.chars().count()) && !text.contains(char::is_control);
        if fits { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name in quotes")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// What is done with the connections of a route.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionFile {
    /// They are taken to one of these backends, or to a member of the group of this name. Those that cannot be reached are passed
    /// over.
    Forward(ForwardFile),
    /// They are closed with a reset.
    Refuse,
}

impl Choice for ActionFile {
    type Body = ForwardFile;
    const BODY: &'static str = "a list";
    const EXPECTED: &'static str = "{ forward = [\"127.0.0.1:3000\"] } or \"refuse\"";
    const WORDS: &'static [&'static str] = &["refuse"];
    const KEYS: &'static [&'static str] = &["forward"];

    fn word(word: &str) -> Option<Self> {
        (word == "refuse").then_some(Self::Refuse)
    }

    fn table(key: &str, to: ForwardFile) -> Option<Self> {
        (key == "forward").then_some(Self::Forward(to))
    }
}

impl<'de> Deserialize<'de> for ActionFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice::read(deserializer)
    }
}
