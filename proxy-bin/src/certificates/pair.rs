//! A certificate and its key, as files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use proxy_tls::{Certificate, CertificateError};
use xxhash_rust::xxh3::xxh3_128;

use crate::plain_file::{self, ReadError};

/// The largest file of certificates that is read: the authorities of a whole system are a fifth of it.
pub(super) const LARGEST: usize = 1 << 20;

/// Two files, one with a certificate and those that vouch for it, one with its key; or one with both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The file with the certificate.
    pub certificate: PathBuf,
    /// The file with its key; None where the same file has it.
    pub key: Option<PathBuf>,
}

/// Why a pair of files is no certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// A file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Whether it is the one with the key alone.
        of_key: bool,
        /// Why.
        why: String,
    },
    /// What it says cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Whether it is the one with the key alone.
        of_key: bool,
        /// Why.
        why: CertificateError,
    },
}

impl PairError {
    /// Whether it is about the file with the key, where that has one of its own.
    #[must_use]
    pub const fn is_of_key(&self) -> bool {
        match self {
            Self::Unreadable { of_key, .. } | Self::Unusable { of_key, .. } => *of_key,
        }
    }
}

/// What is known of files without reading them, as a digest: what changes with what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks(u128);

impl Pair {
    /// Its files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.certificate), self.key.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// How its files look.
    pub(super) fn looks(&self) -> Looks {
        let mut all = Vec::with_capacity(2 * 7 * 8);
        for file in self.files() {
            looks(file).iter().flatten().for_each(|number| all.extend_from_slice(&number.to_le_bytes()));
        }
        Looks(xxh3_128(&all))
    }

    /// The certificate with its key. It may take its time where the files are on another machine.
    ///
    /// # Errors
    /// Which file is wrong, and why.
    pub fn read(&self) -> Result<Certificate, PairError> {
        let certificate = bytes(&self.certificate, false)?;
        let own = self.key.as_deref().map(|key| bytes(key, true)).transpose()?;
        let key = own.as_deref().unwrap_or(&certificate);
        Certificate::from_pem(&certificate, key).map_err(|why| {
            let of_key = is_of_key(&why) && self.key.is_some();
            let path = self.key.as_ref().filter(|_| of_key).unwrap_or(&self.certificate);
            PairError::Unusable { path: path.clone(), of_key, why }
        })
    }
}

const fn is_of_key(error: &CertificateError) -> bool {
    use CertificateError as Wrong;
    matches!(error, Wrong::NoKey | Wrong::EncryptedKey | Wrong::Key(_) | Wrong::Mismatch)
}

fn bytes(path: &Path, of_key: bool) -> Result<Vec<u8>, PairError> {
    plain_file::read(path, LARGEST).map_err(|error: ReadError| PairError::Unreadable {
        path: path.to_path_buf(),
        of_key,
        why: error.to_string(),
    })
}

/// Device and number, for a file is replaced by another of its name; length and times, for it may be written over.
fn looks(path: &Path) -> Option<[i64; 7]> {
    let about = fs::metadata(path).ok()?;
    let whole = |number: u64| number.cast_signed();
    Some([
        whole(about.dev()),
        whole(about.ino()),
        whole(about.len()),
        about.mtime(),
        about.mtime_nsec(),
        about.ctime(),
        about.ctime_nsec(),
    ])
}
