//! What one attempt to connect is about.

use std::net::IpAddr;

use crate::addr::{ClientAddr, Endpoint};
use crate::egress::Egress;

/// Where one attempt to connect goes, and how it leaves this machine.
///
/// There is no deadline in it, since [`reach`](super::reach) bounds all attempts of a dial together; no PROXY header, which is
/// the first that a connection is sent, by whoever has made it; and no name for TLS, which begins when there is a connection.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Destination<'a> {
    /// Where to.
    pub endpoint: &'a Endpoint,
    /// How it leaves this machine; None: as the dialler does by itself. A Unix endpoint has neither source nor interface nor mark.
    pub egress: Option<&'a Egress>,
    /// For whom: where [`Source::Client`](crate::egress::Source::Client) takes its address from.
    pub client: Option<ClientAddr>,
}

impl<'a> Destination<'a> {
    /// That endpoint alone: no client is named, and the dialler's own egress applies.
    #[must_use]
    pub const fn new(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, egress: None, client: None }
    }

    /// The same, leaving this machine by `egress`.
    #[must_use]
    pub const fn by(self, egress: &'a Egress) -> Self {
        Self { egress: Some(egress), ..self }
    }

    /// The same, for this client.
    #[must_use]
    pub const fn on_behalf_of(self, client: Option<ClientAddr>) -> Self {
        Self { client, ..self }
    }

    /// The client's address.
    pub(super) fn client_ip(&self) -> Option<IpAddr> {
        self.client.map(ClientAddr::ip)
    }
}

impl<'a> From<&'a Endpoint> for Destination<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        Self::new(endpoint)
    }
}
