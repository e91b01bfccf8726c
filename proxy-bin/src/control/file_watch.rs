//! A watch of a file, as long as it is held.

use std::path::PathBuf;

use notify::RecommendedWatcher;
use tokio_util::sync::DropGuard;

/// A watch of a file. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct FileWatch {
    pub(super) file: PathBuf,
    pub(super) _watcher: RecommendedWatcher,
    pub(super) _over: DropGuard,
}
