//! How the server's side of TLS is spoken.

use std::sync::Arc;

use rustls::server;

use crate::client_auth::ClientAuth;
use crate::key_log::key_log;
use crate::parameters::Parameters;
use crate::store::CertificateStore;
use crate::tickets::TicketKeys;

/// How the server's side of TLS is spoken. Whatever makes a difference between servers is in here, and in what it hashes: tickets are
/// good for servers of equal options alone, so that no client resumes where it would not have been let in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Versions, cipher suites, groups.
    pub parameters: Parameters,
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
        Self { parameters: Parameters::default(), alpn: Vec::new(), tickets: 2, clients: None }
    }
}

impl ServerOptions {
    /// Versions, cipher suites, groups.
    #[must_use]
    pub fn parameters(self, parameters: Parameters) -> Self {
        Self { parameters, ..self }
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

/// A server's configuration with these certificates, and with tickets of these keys. Early data is never taken: what comes in it can
/// be said again by others.
///
/// # Errors
/// Where the parameters contradict each other, or the library refuses them.
pub fn server_config(
    certificates: Arc<CertificateStore>,
    options: &ServerOptions,
    tickets: &TicketKeys,
) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let parameters = &options.parameters;
    let builder = rustls::ServerConfig::builder_with_provider(parameters.provider()?);
    let builder = builder.with_protocol_versions(&parameters.versions())?;
    let builder = match &options.clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.0)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols.clone_from(&options.alpn);
    config.session_storage = Arc::new(server::NoServerSessionStorage {});
    config.key_log = key_log();
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
