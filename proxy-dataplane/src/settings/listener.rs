//! Listening sockets: where, how, and whose PROXY headers are believed there.

use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::{BindAddr, Congestion};
use proxy_route::ClientNet;
use proxy_tls::Hop;
use proxy_values::Whole;

use super::Connections;
use super::at_limit::AtLimit;

/// How many connections the kernel holds ready to be accepted.
pub type Backlog = Whole<1, 65_535>;

/// As many as peers have by default.
pub const BACKLOG: Backlog = Backlog::nearest(1024);

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name in logs and metrics, such as `127.0.0.1:8001`, `[::1]:8001` or `*:8001`.
    pub label: String,
    /// The local address.
    pub bind: BindAddr,
    /// The local port.
    pub port: u16,
    /// Connections that wait in the kernel.
    pub backlog: Backlog,
    /// Whose PROXY headers are believed.
    pub accept_proxy: AcceptProxy,
    /// The hop as which it takes other hops, by TLS that comes before anything else: a header is due from each that proves to be one,
    /// whatever its address. None where it takes every peer, without.
    pub hop: Option<Arc<Hop>>,
    /// What becomes of a connection that begins as TLS does and names no server that could be told.
    pub unreadable_hello: UnreadableHello,
    /// Its connections at one time, over all workers; `None` for no limit of its own.
    pub max_connections: Option<Connections>,
    /// What happens to a connection beyond that.
    pub at_limit: AtLimit,
    /// Congestion control of the clients' sockets.
    pub congestion: Congestion,
}

impl ListenerConfig {
    /// One that takes what comes: no PROXY headers, no limit of its own.
    #[must_use]
    pub fn on(bind: BindAddr, port: u16) -> Self {
        let label = match bind {
            BindAddr::Dual => format!("*:{port}"),
            BindAddr::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            BindAddr::Ip(IpAddr::V4(ip)) => format!("{ip}:{port}"),
        };
        Self {
            label,
            bind,
            port,
            backlog: BACKLOG,
            accept_proxy: AcceptProxy::Off,
            hop: None,
            unreadable_hello: UnreadableHello::Refuse,
            max_connections: None,
            at_limit: AtLimit::default(),
            congestion: Congestion::default(),
        }
    }
}

impl ListenerConfig {
    /// What a peer of this address has to do, once it has proven to be a hop where that is asked of it.
    #[must_use]
    pub fn greeting(&self, peer: IpAddr) -> Greeting {
        if self.hop.is_some() { Greeting::Header } else { self.accept_proxy.greeting(peer) }
    }

    /// Whether PROXY headers are believed here, of some peers at least.
    #[must_use]
    pub fn believes_headers(&self) -> bool {
        self.hop.is_some() || self.accept_proxy != AcceptProxy::Off
    }
}

/// What a peer has to do before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// It has to send a PROXY header.
    Header,
    /// It may send a PROXY header; if it does not, it is the client.
    Either,
    /// It sends none; it is the client.
    Plain,
    /// It is not let in at all.
    Refused,
}

impl AcceptProxy {
    /// What a peer of this address has to do.
    #[must_use]
    pub fn greeting(&self, peer: IpAddr) -> Greeting {
        let Some((_, networks)) = self.believed() else { return Greeting::Plain };
        let believed = networks.iter().any(|network| network.contains(peer));
        match self {
            Self::Required(_) | Self::RequiredFrom(_) if believed => Greeting::Header,
            Self::Optional(_) if believed => Greeting::Either,
            Self::Required(_) => Greeting::Refused,
            Self::RequiredFrom(_) | Self::Optional(_) | Self::Off => Greeting::Plain,
        }
    }
}

/// What becomes of a connection that begins as TLS does and names no server that could be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum UnreadableHello {
    /// It is reset.
    #[default]
    Refuse,
    /// It is routed as one that names nobody.
    Unnamed,
}

/// Whose PROXY headers a listener believes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(rename_all = "snake_case"))]
pub enum AcceptProxy {
    /// Nobody's: what looks like a header is data like any other.
    Off,
    /// Every peer has to be in one of these networks and has to send a header. Others are refused.
    Required(#[cfg_attr(feature = "schemars", schemars(length(min = 1)))] Arc<[ClientNet]>),
    /// Peers in these networks have to send a header. Others must not: they are taken as they are.
    RequiredFrom(#[cfg_attr(feature = "schemars", schemars(length(min = 1)))] Arc<[ClientNet]>),
    /// Peers in these networks may send a header; one that sends none is taken as it is, like all others, which must not.
    /// One that says nothing at all is so after `proxy_header_timeout`.
    Optional(#[cfg_attr(feature = "schemars", schemars(length(min = 1)))] Arc<[ClientNet]>),
}

impl AcceptProxy {
    /// The key of the networks whose headers are believed, and the networks.
    #[must_use]
    pub fn believed(&self) -> Option<(&'static str, &Arc<[ClientNet]>)> {
        match self {
            Self::Off => None,
            Self::Required(networks) => Some(("required", networks)),
            Self::RequiredFrom(networks) => Some(("required_from", networks)),
            Self::Optional(networks) => Some(("optional", networks)),
        }
    }
}

/// The written form.
#[cfg(feature = "serde")]
mod form {
    use proxy_route::ClientNet;
    use proxy_values::choice::{self, Choice};
    use serde::{Deserialize, Deserializer};

    use super::AcceptProxy;

    impl Choice for AcceptProxy {
        type Body = Vec<ClientNet>;
        const BODY: &'static str = "a list";
        const EXPECTED: &'static str = "\"off\", { required = [\"10.0.0.0/8\"] }, { required_from = [\"10.0.0.0/8\"] } or { optional = [\"10.0.0.0/8\"] }";
        const WORDS: &'static [&'static str] = &["off"];
        const KEYS: &'static [&'static str] = &["required", "required_from", "optional"];

        fn word(word: &str) -> Option<Self> {
            (word == "off").then_some(Self::Off)
        }

        fn table(key: &str, networks: Vec<ClientNet>) -> Option<Self> {
            match key {
                "required" => Some(Self::Required(networks.into())),
                "required_from" => Some(Self::RequiredFrom(networks.into())),
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
}
