//! The folder may be on another machine, and hang: what is done with it is done beside, and not waited for for ever.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::storage::{Storage, StorageError};

/// How long a file of a few KiB may take; a file server that needs longer is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does `work` with the folder on a thread that may block.
pub(crate) async fn aside<T: Send + 'static>(
    storage: &Arc<Storage>,
    work: impl FnOnce(&Storage) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let (folder, storage) = (storage.folder().to_owned(), Arc::clone(storage));
    let working = tokio::task::spawn_blocking(move || work(&storage));
    match tokio::time::timeout(PATIENCE, working).await {
        Ok(Ok(done)) => done,
        Ok(Err(lost)) => Err(unusable(folder, io::Error::other(lost.to_string()))),
        Err(_) => Err(unusable(folder, io::ErrorKind::TimedOut.into())),
    }
}

fn unusable(path: PathBuf, source: io::Error) -> StorageError {
    StorageError::Io { what: "use", path, source }
}
