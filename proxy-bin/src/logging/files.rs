//! Where lines end up.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::LogError;

/// A place for lines.
#[derive(Debug)]
pub(super) enum Sink {
    Stderr,
    Stdout,
    File(LogFile),
}

/// A file that may be another one from one write to the next.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Held for as long as it takes to clone or to replace it, never while writing.
    file: Mutex<Arc<File>>,
}

impl Sink {
    /// A file, which is appended to, and made where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let file = Mutex::new(Arc::new(append_to(path)?));
        Ok(Self::File(LogFile { path: path.to_path_buf(), file }))
    }

    /// Writes these lines. Called by the log's own threads only: it may take its time.
    pub(super) fn write(&self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(lines),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::File(LogFile { file, .. }) => {
                let file = Arc::clone(&file.lock());
                (&*file).write_all(lines)
            }
        }
    }

    /// Opens the file of that name again. What is being written just now still goes to the one that was open.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        if let Self::File(LogFile { path, file }) = self {
            let new = Arc::new(append_to(path)?);
            *file.lock() = new;
        }
        Ok(())
    }

    /// Makes the file a user's.
    pub(super) fn give_to(&self, user: u32, group: u32) -> Result<(), LogError> {
        let Self::File(LogFile { path, file }) = self else { return Ok(()) };
        let file = Arc::clone(&file.lock());
        std::os::unix::fs::fchown(&*file, Some(user), Some(group))
            .map_err(|source| LogError::Open { path: path.clone(), source })
    }
}

/// Readable by the group, as logs are: others have no business with clients' addresses.
fn append_to(path: &Path) -> Result<File, LogError> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
    opened.map_err(|source| LogError::Open { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_move_lines_go_to_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let sink = Sink::open(&path).unwrap();
        sink.write(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        sink.write(b"two\n").unwrap();
        sink.reopen().unwrap();
        sink.write(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn what_cannot_be_opened_again_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("logs");
        std::fs::create_dir(&inner).unwrap();
        let sink = Sink::open(&inner.join("access.log")).unwrap();
        let moved = dir.path().join("moved");
        std::fs::rename(&inner, &moved).unwrap();
        let error = sink.reopen().unwrap_err().to_string();
        assert!(error.contains("access.log") && error.contains("No such file"), "{error}");
        sink.write(b"one\n").unwrap();
        assert_eq!(std::fs::read_to_string(moved.join("access.log")).unwrap(), "one\n");
    }
}
