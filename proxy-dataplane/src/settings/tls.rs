//! What a route does with TLS.

use std::sync::Arc;

use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::rustls::{ClientConfig, ServerConfig};
use proxy_tls::{CertificateStore, Hop};

/// What a route does with TLS. By default nothing: what a client says passes through as it is.
///
/// Two are equal where they share what they are made of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RouteTls {
    /// How the client's TLS ends here.
    pub terminate: Option<Arc<Terminate>>,
    /// How TLS is spoken to the backends.
    pub reencrypt: Option<Arc<Reencrypt>>,
    /// As which hop the backends are gone to, which are hops: `reencrypt` is how.
    pub hop: Option<Arc<Hop>>,
}

/// How the client's TLS ends here.
#[derive(Debug)]
pub struct Terminate {
    /// Versions, certificates, protocols.
    pub config: Arc<ServerConfig>,
    /// The certificates that the configuration takes, which may be replaced while it is in force.
    pub certificates: Arc<CertificateStore>,
    /// What becomes of a client that ends without a `close_notify`.
    pub truncated: Truncated,
    /// What a client gets that speaks plain HTTP.
    pub plain_http: PlainHttp,
}

/// What becomes of the connection of a client that ends its TCP without the `close_notify` of its TLS, as browsers do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Truncated {
    /// Its backend gets an end (FIN): for protocols whose messages say themselves where they end, such as HTTP.
    #[default]
    End,
    /// Its backend is reset: for protocols in which the end of the stream is the end of the message.
    Reset,
}

/// What a client gets that speaks plain HTTP where TLS is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum PlainHttp {
    /// The answer 400, which says what is wrong.
    #[default]
    Refuse,
    /// A redirect to the same host and path with TLS.
    Redirect,
}

/// How TLS is spoken to the backends.
#[derive(Debug)]
pub struct Reencrypt {
    /// Whom to trust, and as whom to go there.
    pub config: Arc<ClientConfig>,
    /// The name to ask for; None: the target's host name, or the client's server name where the target is an address.
    pub server_name: Option<ServerName<'static>>,
    /// Whether the PROXY header goes inside of it, as hops have it. Else it goes before it, in the clear.
    pub header_inside: bool,
}

impl RouteTls {
    /// The client's TLS ends here.
    #[must_use]
    pub fn terminate(self, terminate: Option<Arc<Terminate>>) -> Self {
        Self { terminate, ..self }
    }

    /// TLS is spoken to the backends.
    #[must_use]
    pub fn reencrypt(self, reencrypt: Option<Arc<Reencrypt>>) -> Self {
        Self { reencrypt, ..self }
    }

    /// The backends are other hops, which are gone to as this one.
    #[must_use]
    pub fn hop(self, hop: Arc<Hop>) -> Self {
        let config = Arc::clone(hop.client());
        let reencrypt = Reencrypt { config, server_name: None, header_inside: true };
        Self { reencrypt: Some(Arc::new(reencrypt)), hop: Some(hop), ..self }
    }

    /// Whether what a client says passes through as it is.
    #[must_use]
    pub const fn is_passthrough(&self) -> bool {
        self.terminate.is_none() && self.reencrypt.is_none()
    }
}

impl PartialEq for RouteTls {
    fn eq(&self, other: &Self) -> bool {
        fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            match (one, other) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (one, other) => one.is_none() && other.is_none(),
            }
        }
        // What is spoken to a hop follows from which one this is.
        let outwards = || self.hop.is_some() || same(self.reencrypt.as_ref(), other.reencrypt.as_ref());
        same(self.terminate.as_ref(), other.terminate.as_ref())
            && same(self.hop.as_ref(), other.hop.as_ref())
            && outwards()
    }
}

impl Eq for RouteTls {}
