//! A route as its author writes it: a name, a priority, and what it matches. Where it leads is the payload beside
//! it, which this crate does not look at.

use std::sync::Arc;

use crate::{Alpn, ClientNet, DomainPattern, PortRange};

/// Which connections a route takes. Every list that is not empty restricts; one entry of each has to match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize), serde(deny_unknown_fields))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Match {
    /// The ports on which the connection may arrive; at least one. The listening ports follow from these.
    #[cfg_attr(feature = "schemars", schemars(length(min = 1)))]
    pub ports: Vec<PortRange>,
    /// The server names (TLS SNI) to match. Left out, any connection matches, with or without a name.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub domains: Vec<DomainPattern>,
    /// The networks the client may come from. Left out, any client matches, even one of unknown address.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub clients: Vec<ClientNet>,
    /// The ALPN protocols of which the client must offer at least one. Left out, any connection matches.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub alpn: Vec<Alpn>,
}

/// One route: its match, and its priority among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteSpec {
    /// Unique in a table, whether the route is enabled or not.
    pub name: Arc<str>,
    /// The higher priority wins over any difference in specificity. 0 is usual, negative is allowed.
    pub priority: i32,
    /// A route that is not enabled never matches and opens no port.
    pub enabled: bool,
    /// Which connections it takes.
    pub matches: Match,
}

impl Match {
    /// Every connection on these ports.
    #[must_use]
    pub fn on(ports: impl IntoIterator<Item = PortRange>) -> Self {
        Self { ports: ports.into_iter().collect(), ..Self::default() }
    }

    /// Only those with one of these server names.
    #[must_use]
    pub fn domains(self, domains: impl IntoIterator<Item = DomainPattern>) -> Self {
        Self { domains: domains.into_iter().collect(), ..self }
    }

    /// Only those from one of these networks.
    #[must_use]
    pub fn clients(self, clients: impl IntoIterator<Item = ClientNet>) -> Self {
        Self { clients: clients.into_iter().collect(), ..self }
    }

    /// Only those which offer one of these protocols.
    #[must_use]
    pub fn alpn(self, alpn: impl IntoIterator<Item = Alpn>) -> Self {
        Self { alpn: alpn.into_iter().collect(), ..self }
    }

    /// Whether the answer depends on what only a ClientHello says. If not, nothing has to be read from the client
    /// before the route is known, so protocols in which the server speaks first work.
    #[must_use]
    pub fn needs_hello(&self) -> bool {
        !self.domains.is_empty() || !self.alpn.is_empty()
    }
}

impl RouteSpec {
    /// An enabled route of priority 0.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, matches: Match) -> Self {
        Self { name: name.into(), priority: 0, enabled: true, matches }
    }

    /// The same route with another priority.
    #[must_use]
    pub fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// The same route, enabled or not.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }
}
