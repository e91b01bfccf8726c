//! The certificates that there are: where they come from, and which servers present them.
//!
//! ```text
//!  sources ── read, what has changed alone ──► sets ── by name ──► CertificateStore ──► handshakes
//!  a pair of files, a folder                   one for each that routes ask for
//! ```
//! The [`Registry`] is the process's, and outlives configurations. What one of those asks for is its [`Selection`], read beside what is in
//! force, which it replaces as a whole when the configuration is put in force. A store is kept for as long as some configuration asks for
//! the same sources: who refills it reaches whatever server there is, without a reload.

mod folder;
mod pair;
mod reading;
mod registry;
mod selection;
mod source;
mod standing;

pub use pair::{Pair, PairError};
pub use registry::{Listed, Registry, Seen, Summary, Trouble};
pub use selection::Selection;
pub use source::{Source, SourceError, Wanted};
pub use standing::Standing;

#[cfg(test)]
mod tests;
