//! The ends of connections, as the access log would have them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proxy_conn::{By, Cause, Ended, Phase, Subscriber};

/// One connection's end: what the access log writes, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the access log's")]
pub struct EndLine {
    pub id: String,
    pub previous: String,
    pub client: Option<SocketAddr>,
    pub peer: SocketAddr,
    pub server_name: Option<String>,
    pub route: Option<String>,
    pub target: Option<String>,
    pub phase: Phase,
    pub cause: Cause,
    pub by: By,
    pub detail: String,
    pub from_client: u64,
    pub from_backend: u64,
    pub lifetime: Duration,
}

impl From<&Ended<'_>> for EndLine {
    fn from(ended: &Ended<'_>) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: ended.id.to_string(),
            previous: ended.facts.previous.to_string(),
            client: ended.facts.client.map(proxy_core::ClientAddr::socket_addr),
            peer: ended.peer.socket_addr(),
            server_name: text(ended.facts.server_name.as_deref()),
            route: text(ended.facts.route.as_deref()),
            target: text(ended.facts.target.as_deref()),
            phase: ended.end.phase,
            cause: ended.end.cause,
            by: ended.end.by,
            detail: ended.detail.unwrap_or_default().to_owned(),
            from_client: ended.from_client,
            from_backend: ended.from_backend,
            lifetime: ended.lifetime,
        }
    }
}

/// The ends so far, in order.
#[derive(Debug, Clone, Default)]
pub struct Ends(Arc<Mutex<Vec<EndLine>>>);

impl Ends {
    /// All so far.
    #[must_use]
    pub fn all(&self) -> Vec<EndLine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up those so far, with the memory that they took.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }
}

impl Subscriber for Ends {
    fn ended(&self, ended: &Ended<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ended.into());
    }
}
