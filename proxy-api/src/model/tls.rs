//! What is known of the TLS of a connection's client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of the TLS of a connection's client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// The version, such as `TLSv1.3`; null where its TLS passes through.
    pub version: Option<String>,
    /// The cipher suite, by its name in the registry of IANA; null where its TLS passes through.
    pub cipher: Option<String>,
    /// The group of the key exchange; null where TLS 1.2 resumed a session, and where TLS passes through.
    pub group: Option<String>,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// The application protocol (ALPN) that was agreed upon.
    pub alpn: Option<String>,
    /// The fingerprint of its ClientHello (JA4).
    pub ja4: Option<String>,
    /// Who the client has proven to be: the name in its certificate.
    pub identity: Option<String>,
    /// What the hop before has told of the client's TLS that ended there: version, cipher suite, and whose certificate it gave.
    #[serde(default)]
    pub before: Option<String>,
}
