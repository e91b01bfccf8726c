//! What is learnt of a connection, packed: there are as many of these as there are connections.
//!
//! Most connections have a client, a route and a target, both shared, and nothing else. What few have (ids of hops
//! before, a server name) is on the heap, and only for those.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::Waker;

use proxy_core::ClientAddr;

use super::mark::Mark;
use super::{Facts, TlsFacts};
use crate::id::Trail;
use crate::outcomes::Tally;

/// An address and a port, IPv4 as v4-mapped, in 18 bytes instead of 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    ip: [u8; 16],
    port: [u8; 2],
}

impl Packed {
    /// Packs an address that has neither a scope nor a flow, as [`PeerAddr`](proxy_core::PeerAddr) and [`ClientAddr`]
    /// never have.
    pub(super) fn of(addr: SocketAddr) -> Self {
        let ip = match addr.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self { ip: ip.octets(), port: addr.port().to_ne_bytes() }
    }

    /// The address. A v4-mapped one comes back as IPv4, as the types that it is stored for have it anyway.
    pub(super) fn addr(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(self.ip)).to_canonical(), u16::from_ne_bytes(self.port))
    }
}

/// What the lock of an entry guards.
#[derive(Debug, Default)]
pub(super) struct Known {
    client: Option<Packed>,
    route: Option<Tally>,
    target: Option<Tally>,
    rare: Option<Box<Rare>>,
    /// Who waits for the entry's cancel: the connection's own task.
    pub(super) waker: Option<Waker>,
    /// How long it waited for places. Here, since there is room, and few ask.
    pub(super) queued: Mark,
}

/// Invariant: it is there only if something is in it.
#[derive(Debug, Default)]
struct Rare {
    previous: Trail,
    server_name: Option<Box<str>>,
    nameless: Option<Box<str>>,
    tls: Option<Box<TlsFacts>>,
    hop: Option<Box<str>>,
}

impl Known {
    /// A copy of the facts.
    pub(super) fn facts(&self) -> Facts {
        let rare = self.rare.as_deref();
        Facts {
            client: self.client(),
            previous: rare.map(|rare| rare.previous.clone()).unwrap_or_default(),
            server_name: rare.and_then(|rare| rare.server_name.clone()),
            nameless: rare.and_then(|rare| rare.nameless.clone()),
            tls: rare.and_then(|rare| rare.tls.clone()),
            hop: rare.and_then(|rare| rare.hop.clone()),
            route: self.route.clone(),
            target: self.target.clone(),
        }
    }

    /// The facts themselves; none are left here.
    pub(super) fn take(&mut self) -> Facts {
        let client = self.client();
        self.client = None;
        let rare = self.rare.take().map(|rare| *rare).unwrap_or_default();
        Facts {
            client,
            previous: rare.previous,
            server_name: rare.server_name,
            nameless: rare.nameless,
            tls: rare.tls,
            hop: rare.hop,
            route: self.route.take(),
            target: self.target.take(),
        }
    }

    /// Puts facts here, in place of what was known.
    pub(super) fn put(&mut self, facts: Facts) {
        let Facts { client, previous, server_name, nameless, tls, hop, route, target } = facts;
        let named = server_name.is_some() || nameless.is_some() || hop.is_some();
        let any_rare = named || !previous.is_empty() || tls.is_some();
        self.client = client.map(|client| Packed::of(client.socket_addr()));
        self.route = route;
        self.target = target;
        self.rare = any_rare.then(|| Box::new(Rare { previous, server_name, nameless, tls, hop }));
    }

    pub(super) const fn route(&self) -> Option<&Tally> {
        self.route.as_ref()
    }

    pub(super) const fn target(&self) -> Option<&Tally> {
        self.target.as_ref()
    }

    fn client(&self) -> Option<ClientAddr> {
        self.client.map(|client| ClientAddr::new(client.addr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:65535", "[::1]:0", "0.0.0.0:1", "[::]:1", "[fe80::1]:9"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(Packed::of(addr).addr(), addr);
        }
        let scoped = ClientAddr::new("[fe80::1%3]:80".parse().unwrap());
        assert_eq!(
            ClientAddr::new(Packed::of(scoped.socket_addr()).addr()),
            scoped,
            "it has no scope to lose"
        );
        assert_eq!(size_of::<Option<Packed>>(), 19);
    }

    #[test]
    fn every_fact_comes_back_and_the_rare_ones_alone_are_on_the_heap() {
        for client in [None, Some("192.0.2.1:80"), Some("[fe80::1]:80")] {
            let rare = [
                ("", None, None, false),
                ("a/b", None, None, false),
                ("", Some("x.example"), None, false),
                ("a", Some("y"), None, true),
                ("", None, Some("why"), false),
                ("", None, None, true),
                ("", None, None, false),
            ];
            for (nth, (previous, name, nameless, tls)) in rare.into_iter().enumerate() {
                let hop = nth == 6;
                let mut known = Known::default();
                let facts = Facts {
                    client: client.map(|client| ClientAddr::new(client.parse().unwrap())),
                    previous: Trail::from_header(previous.as_bytes()),
                    server_name: name.map(Into::into),
                    nameless: nameless.map(Into::into),
                    tls: tls.then(Box::default),
                    hop: hop.then(|| "outer".into()),
                    route: Some("route".into()),
                    target: Some("target".into()),
                };
                known.put(facts.clone());
                assert_eq!(format!("{:?}", known.facts()), format!("{facts:?}"));
                assert_eq!(
                    known.rare.is_some(),
                    !(previous.is_empty() && name.is_none() && nameless.is_none() && !tls && !hop)
                );
                assert_eq!(format!("{:?}", known.take()), format!("{facts:?}"));
                assert_eq!(format!("{:?}", known.facts()), format!("{:?}", Facts::default()));
            }
        }
    }
}
