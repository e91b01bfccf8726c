//! What a connection shows of itself, and what the table answers.

use std::net::IpAddr;

use crate::RouteSpec;

/// What is known of a connection when it is routed.
///
/// `A` is however the caller keeps the protocol names it read.
#[derive(Debug)]
pub struct Query<'a, A = Box<[u8]>> {
    /// The port on which it arrived.
    pub port: u16,
    /// The name in its TLS SNI, as it was sent: case and a trailing dot are ignored, an empty name is none.
    pub server_name: Option<&'a str>,
    /// The address of the client. Unknown, no route that restricts clients matches.
    pub client: Option<IpAddr>,
    /// The protocols that it offers, best first as TLS sends them (RFC 7301, section 3.1).
    pub alpn: &'a [A],
}

/// A route of the table.
#[derive(Debug)]
pub struct Matched<'t, T> {
    /// Its position in the input of `build`.
    pub index: usize,
    /// What its author wrote.
    pub spec: &'t RouteSpec,
    /// What the caller put beside it.
    pub payload: &'t T,
}

impl<'a> Query<'a> {
    /// A connection of which only the port is known.
    #[must_use]
    pub fn on(port: u16) -> Self {
        Self { port, server_name: None, client: None, alpn: &[] }
    }
}

impl<'a, A> Query<'a, A> {
    /// With this server name.
    #[must_use]
    pub fn name(self, name: &'a str) -> Self {
        Self { server_name: Some(name), ..self }
    }

    /// From this client.
    #[must_use]
    pub fn client(self, client: IpAddr) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Offering these protocols, best first.
    #[must_use]
    pub fn alpn<B>(self, alpn: &'a [B]) -> Query<'a, B> {
        Query { port: self.port, server_name: self.server_name, client: self.client, alpn }
    }
}

impl<'t, T> Matched<'t, T> {
    /// The name of the route.
    #[must_use]
    pub fn name(&self) -> &'t str {
        &self.spec.name
    }
}

// By hand, as a derive would ask the same of `A` and `T`, which are only borrowed.
impl<A> Clone for Query<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Query<'_, A> {}

impl<T> Clone for Matched<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Matched<'_, T> {}
