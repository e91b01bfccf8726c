//! What both sides of TLS may be told: versions, and what goes with them.

use std::sync::Arc;

use rustls::version::TLS13;
use rustls::{SupportedProtocolVersion, server};

use crate::client_auth::ClientAuth;
use crate::provider::provider;
use crate::store::CertificateStore;
use crate::tickets::TicketKeys;

/// A version of TLS. There is none below 1.2: they are broken, and the library has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

impl Version {
    /// This one and those above.
    pub(crate) fn upwards(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V12 => rustls::ALL_VERSIONS,
            Self::V13 => ONLY_13,
        }
    }
}

/// How the server's side of TLS is spoken. Whatever makes a difference between servers is in here, and in what it hashes: tickets are
/// good for servers of equal options alone, so that no client resumes where it would not have been let in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The oldest version that is spoken.
    pub min_version: Version,
    /// Application protocols, the preferred one first. Empty: whatever a client offers none is agreed upon, which every client takes;
    /// with some, a client that offers only others is refused.
    pub alpn: Vec<Vec<u8>>,
    /// Session tickets for each handshake of TLS 1.3. With 0 no session is resumed there, and a client that writes and closes without
    /// reading loses nothing by tickets that it left unread.
    pub tickets: u8,
    /// Which clients are taken by their certificates; None where clients are asked for none. No session is resumed where they are.
    pub clients: Option<ClientAuth>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { min_version: Version::V12, alpn: Vec::new(), tickets: 2, clients: None }
    }
}

impl ServerOptions {
    /// The oldest version that is spoken.
    #[must_use]
    pub fn min_version(self, min_version: Version) -> Self {
        Self { min_version, ..self }
    }

    /// Application protocols, the preferred one first.
    #[must_use]
    pub fn alpn(self, alpn: Vec<Vec<u8>>) -> Self {
        Self { alpn, ..self }
    }

    /// Session tickets for each handshake of TLS 1.3.
    #[must_use]
    pub fn tickets(self, tickets: u8) -> Self {
        Self { tickets, ..self }
    }

    /// Which clients are taken by their certificates.
    #[must_use]
    pub fn clients(self, clients: Option<ClientAuth>) -> Self {
        Self { clients, ..self }
    }
}

/// A server's configuration with these certificates, and with tickets of these keys.
///
/// # Errors
/// Where the library refuses it.
pub fn server_config(
    certificates: Arc<CertificateStore>,
    options: &ServerOptions,
    tickets: &TicketKeys,
) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let builder = rustls::ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(options.min_version.upwards())?;
    let builder = match &options.clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.0)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols.clone_from(&options.alpn);
    config.session_storage = Arc::new(server::NoServerSessionStorage {});
    if options.clients.is_some() {
        // A session that is resumed is not asked for its certificate again: not when it has expired, nor when it was revoked.
        config.send_tls13_tickets = 0;
        return Ok(Arc::new(config));
    }
    config.send_tls13_tickets = options.tickets.into();
    // State in the ticket rather than in a table here: it is bounded whatever clients do, and resumes on every worker.
    config.ticketer = tickets.ticketer(options);
    Ok(Arc::new(config))
}
