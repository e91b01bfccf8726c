//! Who certificates are obtained from.

use std::fmt;
use std::sync::Arc;

use hyper::Uri;
use instant_acme::ExternalAccountKey;
use proxy_tls::rustls::ClientConfig;

/// An authority that speaks ACME.
#[derive(Clone)]
pub struct Authority {
    directory: Uri,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) external: Option<ExternalAccount>,
}

/// An account elsewhere that the one here is bound to (RFC 8555, section 7.3.4): some authorities ask for it.
#[derive(Clone)]
pub struct ExternalAccount {
    id: String,
    key: Vec<u8>,
}

/// Why a text is no directory of an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no directory of an authority: it is a URL such as \"https://acme-v02.api.letsencrypt.org/directory\""
)]
pub struct DirectoryError(String);

impl ExternalAccount {
    /// The account of this identifier, and the key to prove it with, as bytes.
    #[must_use]
    pub fn new(id: impl Into<String>, key: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), key: key.into() }
    }

    pub(crate) fn key(&self) -> ExternalAccountKey {
        ExternalAccountKey::new(self.id.clone(), &self.key)
    }
}

impl Authority {
    /// The authority whose directory is at this URL; `tls` says whom to trust there.
    ///
    /// # Errors
    /// Where it is no URL with `https`, or has no host.
    pub fn new(directory: &str, tls: Arc<ClientConfig>) -> Result<Self, DirectoryError> {
        let refused = || DirectoryError(directory.to_owned());
        let uri: Uri = directory.parse().map_err(|_| refused())?;
        if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) {
            return Err(refused());
        }
        Ok(Self { directory: uri, tls, external: None })
    }

    /// The account here is bound to that one.
    #[must_use]
    pub fn external(self, external: Option<ExternalAccount>) -> Self {
        Self { external, ..self }
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        self.directory.to_string()
    }

    /// Its host: what it is called in a line.
    #[must_use]
    pub fn host(&self) -> &str {
        self.directory.host().unwrap_or_default()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proxy_tls::{ClientOptions, Trust, client_config};

    use super::*;

    #[test]
    fn only_a_url_that_is_encrypted_is_an_authority() {
        let tls = client_config(&ClientOptions::default().trust(Trust::Pinned(vec![vec![0].into()].into())))
            .unwrap();
        let authority = |url: &str| Authority::new(url, Arc::clone(&tls));
        assert_eq!(authority("https://ca.example:14000/dir").unwrap().host(), "ca.example");
        for wrong in ["", "ca.example", "http://ca.example/dir", "https:///dir", "https://"] {
            assert!(authority(wrong).is_err(), "{wrong}");
        }
    }
}
