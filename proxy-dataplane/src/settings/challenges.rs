//! Where the challenges of authorities are answered, by which certificates are obtained.

use std::sync::Arc;

use proxy_tls::Challenges;

/// Where the challenges of authorities are answered: by handshake on every port, and by request on one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answering {
    /// The answers that are due.
    pub challenges: Arc<Challenges>,
    /// The port on which requests come.
    pub http_port: Option<u16>,
    /// Whether no route has that port: then what is no challenge gets an answer that says so.
    pub http_alone: bool,
}

impl Answering {
    /// By handshake alone.
    #[must_use]
    pub const fn new(challenges: Arc<Challenges>) -> Self {
        Self { challenges, http_port: None, http_alone: false }
    }

    /// By request, too, on this port, which is for nothing else if `alone`.
    #[must_use]
    pub fn http(self, port: Option<u16>, alone: bool) -> Self {
        Self { http_port: port, http_alone: alone, ..self }
    }

    /// Whether a request that is a challenge may come on this port.
    pub(crate) fn may_be_asked(&self, port: u16) -> bool {
        self.http_port == Some(port) && (self.http_alone || self.challenges.awaits_requests())
    }
}
