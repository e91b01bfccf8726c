//! What is wanted: which names, from whom, proved how, kept where.

use std::path::PathBuf;
use std::sync::Arc;

use proxy_tls::Challenges;

use crate::answer::ChallengeKind;
use crate::authority::Authority;

/// How certificates are obtained and kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Who is asked, in this order: the next one where one has not given a certificate.
    pub authorities: Vec<Authority>,
    /// Where the authorities may write to, such as `mailto:admin@example.com`.
    pub contacts: Vec<String>,
    /// The kinds of challenges that can be answered here. After a failure the next one is tried.
    pub kinds: Vec<ChallengeKind>,
    /// The folder that accounts, keys and certificates are kept in.
    pub folder: PathBuf,
    /// Whether other proxies have the same folder, and are asked for the same names.
    pub shared: bool,
}

impl Options {
    /// By handshakes alone, in a folder of this proxy's own.
    #[must_use]
    pub fn new(authorities: Vec<Authority>, folder: impl Into<PathBuf>) -> Self {
        Self {
            authorities,
            contacts: Vec::new(),
            kinds: vec![ChallengeKind::TlsAlpn01],
            folder: folder.into(),
            shared: false,
        }
    }

    /// Where the authorities may write to.
    #[must_use]
    pub fn contacts(self, contacts: Vec<String>) -> Self {
        Self { contacts, ..self }
    }

    /// The kinds of challenges that can be answered here.
    #[must_use]
    pub fn kinds(self, kinds: Vec<ChallengeKind>) -> Self {
        Self { kinds, ..self }
    }

    /// Whether other proxies have the same folder.
    #[must_use]
    pub fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }
}

/// A name that is to have a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// The name, in lower case.
    pub name: Arc<str>,
    /// Whether it is obtained when a client first asks for it, and not before.
    pub on_demand: bool,
}

impl Name {
    /// This name, from now on or on demand.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, on_demand: bool) -> Self {
        Self { name: name.into(), on_demand }
    }
}

/// All that a configuration wants.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Wanted {
    /// How.
    pub options: Arc<Options>,
    /// For which names.
    pub names: Vec<Name>,
    /// Where challenges are answered.
    pub challenges: Arc<Challenges>,
}

impl Wanted {
    /// Certificates for these names.
    #[must_use]
    pub fn new(options: Arc<Options>, names: Vec<Name>, challenges: Arc<Challenges>) -> Self {
        Self { options, names, challenges }
    }
}
