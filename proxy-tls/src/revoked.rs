//! Lists of revoked certificates (CRL): of whom they are, and whether they are still kept up to date.
//!
//! A list counts for the certificates of whoever has signed it. One that is of nobody who vouches for a peer revokes nothing; one that has
//! the right name and is signed by another key has every peer of that authority refused. So neither is taken.

use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::CertificateError;
use crate::provider::provider;

/// Lists of revoked certificates, and the certificates of authorities beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    lists: Vec<CertificateRevocationListDer<'static>>,
    /// They vouch for lists alone: those of authorities that peers present between themselves and a root.
    issuers: Vec<CertificateDer<'static>>,
}

/// Why a list of revoked certificates is not taken. The messages say what to do; which file it was is the caller's to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevokedError {
    /// It is no such list.
    #[error("a list in it cannot be read: {0}")]
    Broken(String),
    /// It is of nobody who vouches for anybody here.
    #[error(
        "its list of \"{0}\" is of none of the authorities, so that it would revoke nothing: take it out, or put that authority's \
         certificate beside it, where it stands between a root and the peers"
    )]
    Stranger(String),
    /// The authority of that name has another key.
    #[error(
        "its list of \"{0}\" is not signed by the key of the authority of that name, so that every peer of it would be refused: get the \
         list of this authority, or the certificate with its new key"
    )]
    OtherKey(String),
}

/// A list that is past its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// Whose list it is.
    pub issuer: String,
    /// How long ago the next one was due.
    pub since: Duration,
}

impl Revoked {
    /// The lists of a PEM text, and the certificates in it.
    ///
    /// # Errors
    /// Where there is no list, or the text is broken.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let broken = |error: rustls::pki_types::pem::Error| CertificateError::Pem(error.to_string());
        let lists = CertificateRevocationListDer::pem_slice_iter(text);
        let lists: Vec<_> = lists.collect::<Result<_, _>>().map_err(broken)?;
        let issuers = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(broken)?;
        if lists.is_empty() { Err(CertificateError::NoRevocationList) } else { Ok(Self { lists, issuers }) }
    }

    /// The lists themselves.
    #[must_use]
    pub fn into_lists(self) -> Vec<CertificateRevocationListDer<'static>> {
        self.lists
    }

    /// Whether each list is of one of `authorities`, or of one whose certificate is beside it, and signed by it.
    ///
    /// # Errors
    /// The first list that is not.
    pub fn check(&self, authorities: &[CertificateDer<'static>]) -> Result<(), RevokedError> {
        let all = authorities.iter().chain(&self.issuers);
        let all: Vec<_> = all.filter_map(|one| Some(X509Certificate::from_der(one).ok()?.1)).collect();
        self.lists.iter().try_for_each(|list| check(&read(list)?, &all))
    }

    /// Those that are past their time at `now`.
    #[must_use]
    pub fn outdated(&self, now: SystemTime) -> Vec<Outdated> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let outdated = |list| {
            let list = read(list).ok()?;
            let due = u64::try_from(list.next_update()?.timestamp()).unwrap_or_default();
            let since = now.checked_sub(Duration::from_secs(due)).filter(|since| !since.is_zero())?;
            Some(Outdated { issuer: list.issuer().to_string(), since })
        };
        self.lists.iter().filter_map(outdated).collect()
    }
}

fn read<'l>(
    list: &'l CertificateRevocationListDer<'static>,
) -> Result<CertificateRevocationList<'l>, RevokedError> {
    let read = CertificateRevocationList::from_der(list);
    read.map(|(_, list)| list).map_err(|error| RevokedError::Broken(error.to_string()))
}

fn check(list: &CertificateRevocationList<'_>, all: &[X509Certificate<'_>]) -> Result<(), RevokedError> {
    let issuer = || list.issuer().to_string();
    let of_name: Vec<_> = all.iter().filter(|one| one.subject().as_raw() == list.issuer().as_raw()).collect();
    if of_name.is_empty() {
        return Err(RevokedError::Stranger(issuer()));
    }
    let (said, signature) = (list.tbs_cert_list.as_ref(), &*list.signature_value.data);
    let algorithms = provider().signature_verification_algorithms.all;
    let is_its = |one: &&X509Certificate<'_>| {
        let key = &*one.public_key().subject_public_key.data;
        algorithms.iter().any(|algorithm| algorithm.verify_signature(key, said, signature).is_ok())
    };
    if of_name.into_iter().any(|one| is_its(&one)) { Ok(()) } else { Err(RevokedError::OtherKey(issuer())) }
}
