//! How a log file is opened: without waiting for anybody, and by root without being led astray.
//!
//! A process that starts as root to become somebody else opens its log before it does. Whoever it becomes may own the folder:
//! were it opened as root by its name, a link there would have root write to any file, and give that file away. So it is opened
//! with the user's rights; only where the user cannot, in a folder of root's, as root, and then through no link at all, and only
//! what did not exist before is given to the user.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::io::Errno;

use crate::privileges::Identity;

/// Readable by the group, as logs are: others have no business with clients' addresses.
const MODE: u32 = 0o640;

/// Opens a file to append to, or makes it; for somebody whom this process, root, is about to become.
///
/// # Errors
/// What the system said, in words where it is about a pipe or a link.
pub(super) fn open(path: &Path, identity: Option<&Identity>) -> io::Result<File> {
    let Some(identity) = identity else { return append_to(path) };
    match identity.with_its_rights(|| append_to(path))? {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => as_root(path, identity),
        opened => opened,
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let opened = OpenOptions::new().append(true).create(true).mode(MODE).custom_flags(flags).open(path);
    opened.map_err(|error| unread(error, path))
}

/// What is said of a pipe whose other end nobody has.
pub(crate) const UNREAD: &str = "nobody reads from this pipe";

/// What is said of a socket, which cannot be opened.
pub(crate) fn a_socket() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is a socket, not a file")
}

/// A pipe that is opened without waiting for its reader fails with ENXIO, and so does a socket.
fn unread(error: io::Error, path: &Path) -> io::Error {
    if error.raw_os_error() != Some(Errno::NXIO.raw_os_error()) {
        error
    } else if std::fs::metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        a_socket()
    } else {
        io::Error::new(io::ErrorKind::NotConnected, UNREAD)
    }
}

fn as_root(path: &Path, identity: &Identity) -> io::Result<File> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = folder_of(path)?;
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    match openat(&folder, name, flags | OFlags::CREATE | OFlags::EXCL, Mode::from_raw_mode(MODE)) {
        Ok(made) => {
            let (user, group) = (Uid::from_raw(identity.user()), Gid::from_raw(identity.group()));
            fchown(&made, Some(user), Some(group))?;
            Ok(made.into())
        }
        Err(Errno::EXIST) => {
            let there =
                openat(&folder, name, flags, Mode::empty()).map_err(|errno| unread(linked(errno), path))?;
            let there = File::from(there);
            // Another name of a file that is somebody else's.
            if there.metadata()?.nlink() > 1 {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has another name too"));
            }
            Ok(there)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// The folder of a file, reached through no link.
fn folder_of(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let begin = if path.is_absolute() { "/" } else { "." };
    let mut folder = openat(CWD, begin, flags, Mode::empty())?;
    for component in path.parent().unwrap_or(Path::new("")).components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::ParentDir => "..".as_ref(),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        };
        folder = openat(&folder, name, flags, Mode::empty()).map_err(linked)?;
    }
    Ok(folder)
}

/// A link is no folder, and is not followed.
fn linked(errno: Errno) -> io::Error {
    if [Errno::LOOP, Errno::NOTDIR].contains(&errno) {
        let text = "its path leads through a link, which root does not follow for another user: write where that leads";
        io::Error::new(io::ErrorKind::InvalidInput, text)
    } else {
        errno.into()
    }
}
