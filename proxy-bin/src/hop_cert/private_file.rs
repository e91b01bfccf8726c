//! Files that nobody but their owner reads, written whole or not at all.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{HopCertError, file};

/// Writes `text` in place of what has this name, if anything does.
pub(super) fn write(path: &Path, text: &str) -> Result<(), HopCertError> {
    let beside = path.with_extension("pem.new");
    let written = || {
        // One that was left by a run that was cut short.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().map_err(|source| file(path, source))
}
