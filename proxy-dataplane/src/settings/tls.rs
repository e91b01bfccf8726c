//! What a route does with TLS.

use std::sync::Arc;

use proxy_tls::CertificateStore;
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::rustls::{ClientConfig, ServerConfig};

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
}

/// What becomes of the connection of a client that ends its TCP without the `close_notify` of its TLS, as browsers do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Truncated {
    /// Its backend gets an end (FIN): for protocols whose messages say themselves where they end, such as HTTP.
    #[default]
    End,
    /// Its backend is reset: for protocols in which the end of the stream is the end of the message.
    Reset,
}

/// How TLS is spoken to the backends.
#[derive(Debug)]
pub struct Reencrypt {
    /// Whom to trust, and as whom to go there.
    pub config: Arc<ClientConfig>,
    /// The name to ask for; None: the target's host name, or the client's server name where the target is an address.
    pub server_name: Option<ServerName<'static>>,
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
        same(self.terminate.as_ref(), other.terminate.as_ref())
            && same(self.reencrypt.as_ref(), other.reencrypt.as_ref())
    }
}

impl Eq for RouteTls {}
