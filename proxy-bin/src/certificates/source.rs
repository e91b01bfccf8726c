//! Where certificates come from.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::folder;
use super::pair::{Pair, PairError};

/// Where certificates come from, as a configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A certificate and its key.
    Files(Pair),
    /// All that a folder has.
    Folder(PathBuf),
    /// One that is obtained, with its key in the same file: there may be none yet.
    Obtained(PathBuf),
}

/// What a server presents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Where its certificates come from, the first one first.
    pub sources: Vec<Source>,
    /// Whether the first certificate serves clients that ask for no name, or for one that none is for.
    pub default: bool,
}

/// Why nothing comes from a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A certificate cannot be used.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// A folder cannot be read.
    #[error("cannot read the folder {}: {why}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        why: String,
    },
    /// It has none.
    #[error(
        "there is no certificate with its key in {}: put NAME.pem with both there, NAME.crt and NAME.key, or NAME/fullchain.pem and \
         NAME/privkey.pem",
        .0.display()
    )]
    Empty(PathBuf),
}

impl Source {
    /// The pairs of files that are its at the moment; of those files that are `known` to have certificate and key nothing is read.
    ///
    /// # Errors
    /// Where a folder cannot be read, or has none.
    pub(super) fn pairs(&self, known: &HashSet<&Path>) -> Result<Vec<Pair>, SourceError> {
        match self {
            Self::Obtained(file) => {
                let pair = Pair { certificate: file.clone(), key: None };
                // One that is broken is obtained anew, as one that is not there; and somebody who may not look into the folder, but
                // checks a configuration, need not. One that was good is presented whatever becomes of its file, and written again.
                Ok(if known.contains(&**file) || pair.read().is_ok() { vec![pair] } else { Vec::new() })
            }
            Self::Files(pair) => Ok(vec![pair.clone()]),
            Self::Folder(path) => {
                let listing = folder::list(path, known)
                    .map_err(|error| SourceError::Folder { folder: path.clone(), why: error.to_string() })?;
                if listing.pairs.is_empty() {
                    Err(SourceError::Empty(path.clone()))
                } else {
                    Ok(listing.pairs)
                }
            }
        }
    }

    /// The file or folder by which a configuration names it.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Files(pair) => &pair.certificate,
            Self::Folder(path) | Self::Obtained(path) => path,
        }
    }
}
