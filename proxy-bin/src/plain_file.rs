//! Files that are read whole: only what ends by itself, and is there at once.
//!
//! A pipe waits for somebody to write to it, a terminal for somebody to type, a device may never end: whoever has put one in
//! the place of a file would have its reader wait for ever.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is something else than a file.
    #[error("it is {0}, not a file")]
    NoFile(&'static str),
    /// It has more bytes than it may.
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
    /// What the system said.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::NoFile(_) | ReadError::TooLarge(_) => {
                Self::new(io::ErrorKind::InvalidInput, error.to_string())
            }
        }
    }
}

/// What a file holds, if that is `most` bytes at most. It may take its time where the file is on another machine.
///
/// # Errors
/// [`ReadError`].
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, ReadError> {
    read_with(path, most).map(|(bytes, _)| bytes)
}

/// The same, with what is known of the file that was read, whatever has its name by now.
///
/// # Errors
/// [`ReadError`].
pub fn read_with(path: &Path, most: usize) -> Result<(Vec<u8>, Metadata), ReadError> {
    let file = open(path)?;
    let about = file.metadata()?;
    if let Some(kind) = no_file(about.file_type()) {
        return Err(ReadError::NoFile(kind));
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(ReadError::TooLarge(most)) } else { Ok((bytes, about)) }
}

/// Opens it without waiting for anybody, and without making a terminal the process's own.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    // ENXIO: a socket, which cannot be opened at all.
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0)).open(path)
}

/// What something is that is no file; None for a file.
#[must_use]
pub fn no_file(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe (FIFO)")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &Path) -> String {
        read(path, 16).unwrap_err().to_string()
    }

    #[test]
    fn what_would_be_waited_for_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        assert_eq!(said(&pipe), "it is a pipe (FIFO), not a file");
        assert_eq!(said(dir.path()), "it is a directory, not a file");
        assert_eq!(said(Path::new("/dev/zero")), "it is a device, not a file");
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        assert!(said(&dir.path().join("socket")).contains("No such device or address"));
    }

    #[test]
    fn as_many_bytes_as_there_may_be_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [b'x'; 16]).unwrap();
        assert_eq!(read(file.path(), 16).unwrap(), [b'x'; 16]);
        std::fs::write(file.path(), [b'x'; 17]).unwrap();
        assert_eq!(said(file.path()), "it has more than 16 bytes");
    }
}
