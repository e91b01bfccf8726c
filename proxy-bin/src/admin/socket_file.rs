//! The admin socket's file: it is there, or it is not, but never half made; and whoever takes it over later keeps it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that wait to be accepted.
pub(super) const BACKLOG: i32 = 64;

/// A socket's file that this process has made. Dropped, it is removed, unless another process has taken the name since.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Binds beside `path` and renames over it, so that whoever listens there already is replaced without a moment in which
    /// nobody does.
    pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(Self, UnixListener)> {
        refuse_what_is_no_socket(path)?;
        let beside = PathBuf::from(format!("{}.{:x}", path.display(), std::process::id()));
        // What a process with our number left behind when it was killed.
        remove_socket(&beside)?;
        let listener = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        listener.bind(&SockAddr::unix(&beside)?)?;
        let made = Self::complete(&beside, path, mode, &listener).inspect_err(|_| {
            // Why it failed matters more than what is left.
            fs::remove_file(&beside).unwrap_or_default();
        })?;
        Ok((made, listener.into()))
    }

    fn complete(beside: &Path, path: &Path, mode: u32, listener: &Socket) -> io::Result<Self> {
        // Nobody can connect before `listen`, so nobody does with other permissions.
        fs::set_permissions(beside, fs::Permissions::from_mode(mode))?;
        listener.listen(BACKLOG)?;
        let identity = identity(beside)?;
        fs::rename(beside, path)?;
        Ok(Self { path: path.to_path_buf(), identity })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // It may have been removed just now; nobody is there to be told.
            fs::remove_file(&self.path).unwrap_or_default();
        }
    }
}

/// What no other file has for as long as this one is there.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn refuse_what_is_no_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket",
        )),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove_socket(path: &Path) -> io::Result<()> {
    refuse_what_is_no_socket(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_socket_is_its_owners_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (file, _listener) = SocketFile::bind(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["admin.sock"]);
        assert_eq!(file.path(), path);
        drop(file);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn who_comes_later_takes_the_name_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (first, _listener) = SocketFile::bind(&path, 0o600).unwrap();
        let (second, listener) = SocketFile::bind(&path, 0o660).unwrap();
        drop(first);
        assert_eq!(names(folder.path()), ["admin.sock"]);
        #[expect(clippy::disallowed_methods, reason = "a test of the socket's file, without a dialler")]
        let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        fs::write(&path, "precious").unwrap();
        let error = SocketFile::bind(&path, 0o600).unwrap_err();
        assert_eq!(error.to_string(), "there is a file of that name that is no socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert!(SocketFile::bind(&folder.path().join("none/admin.sock"), 0o600).is_err());
        assert_eq!(names(folder.path()), ["admin.sock"]);
    }
}
