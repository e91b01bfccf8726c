//! Where a configuration came from: what is read again by a reload, and compared by it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::pieces::Pieces;

/// Where a configuration came from, and its text. Cheap to clone.
#[derive(Clone)]
pub struct Origin {
    /// What errors call it: the path of its file, or whatever it was given.
    pub name: Arc<str>,
    /// The file that a reload reads; None where the text came from elsewhere.
    pub file: Option<PathBuf>,
    /// The text, as it was read.
    pub text: Arc<str>,
    /// Whether each of its routes was read by itself.
    pub(super) in_pieces: bool,
}

impl Origin {
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), file: None, text: text.into(), in_pieces: false }
    }

    /// The text with each route by itself; None where it has to be read as a whole.
    pub(crate) fn pieces(&self) -> Option<Pieces<'_>> {
        self.in_pieces.then(|| Pieces::of(&self.text))
    }
}

impl fmt::Debug for Origin {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, text: _, in_pieces: _ } = self;
        f.debug_struct("Origin").field("name", name).field("file", file).finish_non_exhaustive()
    }
}
