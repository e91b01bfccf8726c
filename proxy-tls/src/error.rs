//! What can be wrong with a handshake, and the one thing that can be wrong with an end.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError};

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer's socket: it reset, or the kernel gave it up.
    #[error("the connection broke during the handshake: {0}")]
    Io(#[from] io::Error),
    /// The peer ended its direction before the handshake was done.
    #[error("the peer ended before the handshake was done")]
    Left,
    /// What the peer said, or what this side would not accept of it.
    #[error("{}", Said(.0))]
    Tls(#[from] Error),
}

/// Kinds of failed handshakes. There are few and their names are stable: they are metric labels and log fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// The peer reset, or ended before it was done.
    Left,
    /// What came is no TLS.
    NotTls,
    /// What came is plain HTTP: seen by the caller, who read it first.
    PlainHttp,
    /// There is no certificate for the name that was asked for.
    NoCertificate,
    /// No version, cipher suite or key exchange in common.
    NothingInCommon,
    /// No application protocol in common.
    NoProtocol,
    /// The peer presented no certificate, and one was due.
    CertificateMissing,
    /// The peer's certificate was refused here.
    CertificateRefused,
    /// The peer refused this side's certificate.
    RefusedByPeer,
    /// The peer sent another alert.
    Alert,
    /// The peer broke the protocol.
    Protocol,
    /// This side could not: no random numbers, or a fault.
    Internal,
    /// It was not done in time. Whose deadline that was is the caller's to say: a handshake has none of its own.
    Timeout,
}

impl HandshakeFault {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Left,
        Self::NotTls,
        Self::PlainHttp,
        Self::NoCertificate,
        Self::NothingInCommon,
        Self::NoProtocol,
        Self::CertificateMissing,
        Self::CertificateRefused,
        Self::RefusedByPeer,
        Self::Alert,
        Self::Protocol,
        Self::Internal,
        Self::Timeout,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::NotTls => "not_tls",
            Self::PlainHttp => "plain_http",
            Self::NoCertificate => "no_certificate",
            Self::NothingInCommon => "nothing_in_common",
            Self::NoProtocol => "no_protocol",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateRefused => "certificate_refused",
            Self::RefusedByPeer => "refused_by_peer",
            Self::Alert => "alert",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What rustls says where it finds no certificate (its `General` has no kinds): seen with 0.23.46, and held by a test.
pub(crate) const NO_CERTIFICATE: &str = "no server certificate chain resolved";

impl HandshakeError {
    /// Which kind it is of.
    #[must_use]
    pub fn fault(&self) -> HandshakeFault {
        match self {
            Self::Io(_) | Self::Left => HandshakeFault::Left,
            Self::Tls(error) => fault(error),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the library's many errors these are told apart")]
fn fault(error: &Error) -> HandshakeFault {
    match error {
        Error::InvalidMessage(_) => HandshakeFault::NotTls,
        Error::General(why) if why == NO_CERTIFICATE => HandshakeFault::NoCertificate,
        Error::NoApplicationProtocol => HandshakeFault::NoProtocol,
        Error::PeerIncompatible(_) => HandshakeFault::NothingInCommon,
        Error::NoCertificatesPresented => HandshakeFault::CertificateMissing,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => {
            HandshakeFault::CertificateRefused
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => HandshakeFault::Protocol,
        _ => HandshakeFault::Internal,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the many alerts these have a meaning of their own here"
)]
fn of_alert(alert: AlertDescription) -> HandshakeFault {
    match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError => HandshakeFault::RefusedByPeer,
        AlertDescription::CertificateRequired => HandshakeFault::CertificateMissing,
        AlertDescription::NoApplicationProtocol => HandshakeFault::NoProtocol,
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => HandshakeFault::NothingInCommon,
        AlertDescription::UnrecognisedName => HandshakeFault::NoCertificate,
        _ => HandshakeFault::Alert,
    }
}

/// Why a certificate was refused that is good in itself, in words that need no more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

/// The same as an error of the library's.
pub(crate) fn refusal(why: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refusal(why)))))
}

/// An error in words that say what to do.
struct Said<'e>(&'e Error);

impl fmt::Display for Said<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's own words are good enough for the others"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::General(why) if why == NO_CERTIFICATE => {
                f.write_str("there is no certificate for the name that was asked for, and no default one")
            }
            Error::InvalidMessage(_) => f.write_str("what came is no TLS"),
            Error::NoApplicationProtocol => f.write_str("no application protocol (ALPN) in common"),
            Error::NoCertificatesPresented => {
                f.write_str("the peer presented no certificate, and one is required")
            }
            Error::InvalidCertificate(error) => f.write_str(&certificate(error)),
            Error::PeerIncompatible(what) => write!(f, "nothing in common with the peer: {what:?}"),
            Error::PeerMisbehaved(what) => write!(f, "the peer broke the protocol: {what:?}"),
            Error::AlertReceived(alert) => write!(f, "the peer sent the alert {alert:?}"),
            other => write!(f, "{other}"),
        }
    }
}

/// Why there is no client's configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// This machine has no authorities that could be read.
    #[error("this machine has no certificates of authorities (install ca-certificates): {0}")]
    NoSystemRoots(String),
    /// Nobody would be trusted.
    #[error("there is no certificate to trust")]
    NoRoots,
    /// The library refuses it.
    #[error(transparent)]
    Tls(#[from] Error),
}

/// What is wrong with the peer's certificate.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's own words are good enough for the others")]
fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the peer's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the peer's certificate is not valid yet: compare the clocks of both machines".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the peer's certificate is of an authority that is not among the roots: name its file as root, or pin the certificate"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the peer's certificate is not signed by the authority that it names, which is among the roots: it may have a new key"
                .to_owned()
        }
        CertificateError::ApplicationVerificationFailure => "the peer's certificate is none of those that are pinned, nor is its key".to_owned(),
        // The library has no variant of its own for it: seen with 0.23.46, and held by a test.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the peer's certificate is an authority's (CA:TRUE, as `openssl req -x509` makes them): pin it, or have it made with CA:FALSE"
                .to_owned()
        }
        CertificateError::Revoked => "the peer's certificate is revoked".to_owned(),
        CertificateError::Other(other) if other.0.is::<Refusal>() => other.0.to_string(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the peer's certificate is for other names ({error})")
        }
        other => format!("the peer's certificate was refused: {other}"),
    }
}

/// What a truncated end is: see [`is_truncated`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer ended without close_notify: what it sent may be cut off")]
pub(crate) struct Truncated;

pub(crate) fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, Truncated)
}

/// Whether a read of a [`TlsStream`](crate::TlsStream) failed since the peer ended its direction (FIN) without the `close_notify`
/// that would have said that nothing is missing. Nothing comes from it any more; whether it still reads is not known.
#[must_use]
pub fn is_truncated(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Truncated>)
}

/// What was wrong, and which kind that is, where a read or a write of a [`TlsStream`](crate::TlsStream) failed over its TLS and not over
/// its socket: the peer refused this side with an alert (with TLS 1.3 a server may do so after the handshake), or broke the protocol.
#[must_use]
pub fn fault_of(error: &io::Error) -> Option<(HandshakeFault, String)> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some((fault(error), Said(error).to_string()))
}
