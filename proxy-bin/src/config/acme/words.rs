//! The words of `[acme]`: addresses, challenges, ports.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use proxy_acme::ChallengeKind;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use super::super::tls::pem;

/// Where an authority may write to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(super) struct Contact(pub(super) String);

impl TryFrom<String> for Contact {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let address = text.strip_prefix("mailto:").unwrap_or(&text);
        let parts = address.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
        if parts.is_none() || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("\"{text}\" is no address of mail: write one such as \"admin@example.com\""));
        }
        Ok(Self(format!("mailto:{address}")))
    }
}

/// A kind of challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum ChallengeFile {
    /// By a handshake on port 443.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// By a request on port 80.
    #[serde(rename = "http-01")]
    Http01,
}

impl ChallengeFile {
    pub(super) const fn kind(self) -> ChallengeKind {
        match self {
            Self::TlsAlpn01 => ChallengeKind::TlsAlpn01,
            Self::Http01 => ChallengeKind::Http01,
        }
    }
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "u16")]
pub(super) struct Port(pub(super) u16);

impl TryFrom<i64> for Port {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        port.map(Self).ok_or_else(|| format!("expected a port from 1 to 65535, found {number}"))
    }
}

/// An account elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExternalFile {
    /// Its identifier (EAB key ID).
    id: String,
    /// The file with its key (EAB HMAC key), as the authority gives it: in base64url.
    key_file: PathBuf,
}

impl ExternalFile {
    /// The identifier and the key.
    pub(super) fn read(&self, place: &Place<'_, '_>) -> Result<(String, Vec<u8>), Finding> {
        let at = place.key("key_file");
        let text = pem(&self.key_file, &at)?;
        let text = String::from_utf8_lossy(&text);
        let key = BASE64_URL_SAFE_NO_PAD.decode(text.trim()).or_else(|_| BASE64_URL_SAFE.decode(text.trim()));
        let key = key.map_err(|error| {
            Finding::new(at.span(), format!("{} has no key in base64url: {error}", self.key_file.display()))
        })?;
        Ok((self.id.clone(), key))
    }
}
