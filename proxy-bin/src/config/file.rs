//! The configuration file as it is written. These types are its reference: the schema, and `docs/` from it, take
//! their descriptions from the comments here, which speak to an operator.
//!
//! Keys that are not known are refused at every level. No type here uses serde's `flatten`, `untagged` or internally
//! tagged enums: they read a value through a copy that has no position in the file.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use proxy_conn::DeadlineOverrides;
use proxy_core::{BindAddr, Bound, KeepAliveOverrides};
use proxy_route::{ClientNet, Match, PortRange, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::bounded::Whole;
use super::choice::{self, Choice};
use super::settings::{Dns, Limits, Log, ProxyProtocol};

/// How many threads serve connections.
pub type Workers = Whole<1, 256>;

/// How many connections the kernel holds ready to be accepted.
pub type Backlog = Whole<1, 65_535>;

/// SmartProxy's configuration: which ports it listens on, and where it takes each connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "SmartProxy configuration")]
pub(super) struct ConfigFile {
    /// Threads that serve connections, each with its own listening sockets; from 1 to 256. Default: one for each core.
    pub(super) workers: Option<Workers>,
    /// How long connections may go on after the proxy was told to stop; then they are reset. Default 30s.
    pub(super) graceful_shutdown_timeout: Bound,
    /// Deadlines of every connection, unless its route has others.
    pub(super) timeouts: DeadlineOverrides,
    /// The kernel's keepalive and user timeout on every connection, unless its route has others.
    pub(super) keep_alive: KeepAliveOverrides,
    /// What the proxy and one connection may use at most.
    pub(super) limits: Limits,
    /// PROXY headers that are received. Whether a port takes them is set by `accept_proxy` of its listeners.
    pub(super) proxy_protocol: ProxyProtocol,
    /// How long the addresses of backends given by name are kept.
    pub(super) dns: Dns,
    /// What is logged, and how.
    pub(super) log: Log,
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
            timeouts: DeadlineOverrides::default(),
            keep_alive: KeepAliveOverrides::default(),
            limits: Limits::default(),
            proxy_protocol: ProxyProtocol::default(),
            dns: Dns::default(),
            log: Log::default(),
            listeners: Vec::new(),
            routes: Vec::new(),
        }
    }
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
    /// Whose PROXY headers are believed. Default `"off"`: a header is data like any other.
    pub(super) accept_proxy: AcceptProxy,
}

impl Default for ListenerFile {
    fn default() -> Self {
        Self {
            ports: None,
            bind: vec![BindAddr::Dual],
            backlog: Backlog::nearest(1024),
            accept_proxy: AcceptProxy::Off,
        }
    }
}

/// Whose PROXY headers a listener believes.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AcceptProxy {
    /// Nobody's: what looks like a header is data like any other.
    Off,
    /// Every peer has to be in one of these networks and has to send a header. Others are refused.
    Required(#[schemars(length(min = 1))] Arc<[ClientNet]>),
    /// Peers in these networks have to send a header. Others must not: they are taken as they are.
    Optional(#[schemars(length(min = 1))] Arc<[ClientNet]>),
}

impl Choice for AcceptProxy {
    type Entry = ClientNet;
    const EXPECTED: &'static str =
        "\"off\", { required = [\"10.0.0.0/8\"] } or { optional = [\"10.0.0.0/8\"] }";
    const WORDS: &'static [&'static str] = &["off"];
    const LISTS: &'static [&'static str] = &["required", "optional"];

    fn word(word: &str) -> Option<Self> {
        (word == "off").then_some(Self::Off)
    }

    fn list(key: &str, networks: Vec<ClientNet>) -> Option<Self> {
        match key {
            "required" => Some(Self::Required(networks.into())),
            "optional" => Some(Self::Optional(networks.into())),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for AcceptProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice::read(deserializer)
    }
}

/// Which connections are taken where. When several routes match, the higher priority wins, then the more specific
/// match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteFile {
    /// The name in logs, metrics and errors. Unique.
    pub(super) name: RouteName,
    /// Wins over any difference in how specific two matches are; may be negative. Default 0.
    #[serde(default)]
    pub(super) priority: i32,
    /// Whether the route is in use; if not, it matches nothing and opens no port. Default true.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// Which connections it takes.
    #[serde(rename = "match")]
    pub(super) matches: Match,
    /// What is done with them.
    pub(super) action: ActionFile,
    /// The PROXY header that the backend gets in front of the client's bytes: `"v1"`, `"v2"` or `"off"`. The backend
    /// has to expect it. Default `"off"`.
    #[serde(default)]
    pub(super) send_proxy: SendProxyFile,
    /// What a header of version 2 has beside the addresses. Only with `send_proxy = "v2"`.
    pub(super) proxy_v2: Option<ProxyV2File>,
    /// Deadlines where they differ from `[timeouts]`.
    #[serde(default)]
    pub(super) timeouts: DeadlineOverrides,
    /// The kernel's keepalive and user timeout where they differ from `[keep_alive]`.
    #[serde(default)]
    pub(super) keep_alive: KeepAliveOverrides,
}

fn yes() -> bool {
    true
}

/// The name of a route: 1 to 64 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
pub(super) struct RouteName(#[schemars(length(min = 1, max = 64))] String);

/// A text that can not name a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name of a route has 1 to 64 characters, none of them a control character")]
pub(super) struct RouteNameError;

impl RouteName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RouteName {
    type Err = RouteNameError;

    fn from_str(text: &str) -> Result<Self, RouteNameError> {
        let fits = (1..=64).contains(&text.chars().count()) && !text.contains(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(RouteNameError) }
    }
}

impl<'de> Deserialize<'de> for RouteName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl serde::de::Visitor<'_> for Name {
            type Value = RouteName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name in quotes")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RouteName, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Name)
    }
}

/// What is done with the connections of a route.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionFile {
    /// They are taken to one of these backends, in turn. Those that cannot be reached are passed over.
    Forward(#[schemars(length(min = 1))] Vec<Target>),
    /// They are closed with a reset.
    Refuse,
}

impl Choice for ActionFile {
    type Entry = Target;
    const EXPECTED: &'static str = "{ forward = [\"127.0.0.1:3000\"] } or \"refuse\"";
    const WORDS: &'static [&'static str] = &["refuse"];
    const LISTS: &'static [&'static str] = &["forward"];

    fn word(word: &str) -> Option<Self> {
        (word == "refuse").then_some(Self::Refuse)
    }

    fn list(key: &str, targets: Vec<Target>) -> Option<Self> {
        (key == "forward").then_some(Self::Forward(targets))
    }
}

impl<'de> Deserialize<'de> for ActionFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice::read(deserializer)
    }
}

/// The PROXY header that a backend gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SendProxyFile {
    /// None.
    #[default]
    Off,
    /// Version 1, one line of text: addresses only.
    V1,
    /// Version 2, binary: addresses and what `proxy_v2` adds.
    V2,
}

/// What a PROXY header of version 2 has beside the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProxyV2File {
    /// Whether it has a CRC-32C checksum of itself. Default false.
    pub(super) crc32c: bool,
    /// Whether fields of a received header that the proxy does not know go on to the backend. Default false.
    pub(super) pass_unknown_tlvs: bool,
}
