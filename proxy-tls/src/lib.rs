//! TLS over the streams of a proxy.
//!
//! ```text
//! Stream ─► accept / connect (handshake) ─► TlsStream: a Stream again, for the same relay
//! ```
//! What is kept of the ends that a plain connection has:
//!
//! - the end of a direction is a `close_notify` and a FIN, both ways, and the other direction stays open;
//! - a peer that ends without `close_notify` is [truncated](is_truncated): an error, so that what breaks off is never passed off as
//!   whole. What to make of a client that always does so (browsers do) is the caller's to decide;
//! - a stream that is dropped resets, as every [`Stream`](proxy_core::Stream) does.
//!
//! An idle connection holds no buffer: bytes of the wire are read into one buffer a thread, and what is kept is a record that has
//! not wholly come, or one that the socket has not wholly taken.

mod agreed;
mod certificate;
mod certificates;
mod challenges;
mod client;
mod client_auth;
mod error;
mod handshake;
mod hop;
mod identity;
mod key_log;
mod maybe;
mod options;
mod parameters;
mod pins;
mod provider;
mod revoked;
mod session;
mod signatures;
mod store;
mod stream;
mod tickets;
mod wire;

pub use agreed::{Agreed, openssl_cipher_name};
pub use certificate::{Certificate, CertificateError, Details};
pub use certificates::Certificates;
pub use challenges::{ACME_TLS, ChallengeCertificate, Challenges};
pub use client::{ClientOptions, Trust, certificates_from_pem, client_config};
pub use client_auth::{ClientAuth, ClientAuthOptions, ClientTrust};
pub use error::{ClientError, HandshakeError, HandshakeFault, fault_of, is_truncated};
pub use handshake::{Failed, accept, connect};
pub use hop::{Hop, HopError};
pub use identity::{Identity, NamePattern, NamePatternError};
pub use key_log::log_keys_to;
pub use maybe::MaybeTls;
pub use options::{ServerOptions, server_config};
pub use parameters::{Cipher, Group, Parameters, ParametersError, Version};
pub use pins::Pins;
pub use revoked::{Outdated, Revoked, RevokedError};
pub use store::{Awaited, CertificateStore};
pub use stream::TlsStream;
pub use tickets::TicketKeys;

/// The library that the TLS is of: configurations are made with it.
pub use rustls;
