//! The admin socket's file: it is there, or it is not, but never half made; it is taken from nobody who lives, and whoever takes it
//! over later keeps it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxy_core::unix::{Living, who_listens};
use rustix::fs::{Access, AtFlags, FlockOperation, Gid, Mode, OFlags, Uid, access, flock};
use socket2::{Domain, SockAddr, Socket, Type};

use super::holder::Holder;

/// Connections that wait to be accepted.
pub(super) const BACKLOG: i32 = 64;

/// How often a folder is tried to be locked that another process has locked, and the pause between: together longer than anybody
/// has it, who may have to ask a process that stands still.
const LOCK_TRIES: usize = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Where a socket is to be, and how.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) path: PathBuf,
    /// As `chmod(2)` has it.
    pub(super) mode: u32,
    /// The process whose place this one takes: of all who live, its name alone may be taken. 0 is one that has no number here.
    pub(super) predecessor: Option<u32>,
    /// The user and group whose it is to be.
    pub(super) owner: Option<(u32, u32)>,
}

/// A socket's file that this process has made. Dropped, it is removed, unless another process has taken the name since. To be
/// dropped before the socket is closed: until then no other file has its identity.
#[derive(Debug)]
pub(super) struct SocketFile {
    wanted: Wanted,
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug)]
pub(super) enum Unbound {
    /// Somebody listens there.
    Served(Holder),
    /// What the system said.
    Io(io::Error),
}

impl From<io::Error> for Unbound {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl SocketFile {
    /// Binds beside the path and renames over it, so that a predecessor who listens there is replaced without a moment in which
    /// nobody does; and so is one of ours that has been told to stop. Anybody else who listens there keeps it.
    ///
    /// Blocks, for as long as it takes to ask whoever listens there who they are.
    pub(super) fn bind(wanted: Wanted) -> Result<(Self, UnixListener), Unbound> {
        fits(&wanted.path)?;
        let beside = PathBuf::from(format!("{}.{:x}", wanted.path.display(), std::process::id()));
        // What a process with our number left behind when it was killed.
        remove_socket(&beside)?;
        let listener = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        listener.bind(&SockAddr::unix(&beside)?)?;
        let identity = Self::complete(&beside, &wanted, &listener).inspect_err(|_| {
            // Why it failed matters more than what is left.
            fs::remove_file(&beside).unwrap_or_default();
        })?;
        Ok((Self { wanted, identity }, listener.into()))
    }

    /// Makes it ready and gives it its name.
    fn complete(beside: &Path, wanted: &Wanted, listener: &Socket) -> Result<(u64, u64), Unbound> {
        // Nobody can connect before `listen`, so nobody does with other permissions.
        hand_to(beside, wanted.mode, wanted.owner)?;
        listener.listen(BACKLOG)?;
        let identity = identity(beside)?;
        let _alone = lock_folder_of(&wanted.path);
        if let Some(living) = who_listens(&wanted.path)?
            && !wanted.is_in_place_of(&living)
        {
            let holder = Holder::ask(living);
            if !holder.stops {
                return Err(Unbound::Served(holder));
            }
        }
        fs::rename(beside, &wanted.path)?;
        Ok(identity)
    }

    pub(super) fn path(&self) -> &Path {
        &self.wanted.path
    }

    /// Whether its name leads to it.
    pub(super) fn is_in_place(&self) -> bool {
        identity(self.path()).is_ok_and(|now| now == self.identity)
    }

    /// How to bind it once more, where it has gone.
    pub(super) fn again(&self) -> Wanted {
        Wanted { predecessor: None, ..self.wanted.clone() }
    }
}

impl Wanted {
    fn is_in_place_of(&self, living: &Living) -> bool {
        // One that has no number here, or whose queue is full, does not say who it is: in a hand-over it is the predecessor.
        self.predecessor
            .is_some_and(|predecessor| living.process().is_none_or(|process| process == predecessor))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _alone = lock_folder_of(self.path());
        if self.is_in_place() {
            // It may have been removed just now; nobody is there to be told.
            fs::remove_file(self.path()).unwrap_or_default();
        }
    }
}

/// Keeps other processes of ours from changing names in the folder between a look and what follows from it, until it is dropped.
/// None where that cannot be had: who may lock a folder for long could do worse there.
fn lock_folder_of(path: &Path) -> Option<File> {
    let folder = File::open(path.parent()?).ok()?;
    for _ in 0..LOCK_TRIES {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::park_timeout(LOCK_PAUSE),
            Err(_) => return None,
        }
    }
    None
}

/// Sets who may use the socket that was just made, and whose it is. What has its name by now may be something else where others
/// can write to the folder: it is opened once, looked at, and nothing but a socket of this process's user is changed.
fn hand_to(made: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let file = rustix::fs::open(made, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let about = fs::File::from(file.try_clone()?).metadata()?;
    if !about.file_type().is_socket() || about.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "somebody else has put something in its place",
        ));
    }
    let by_number = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let allowed = fs::Permissions::from_mode(mode);
    match fs::set_permissions(by_number, allowed.clone()) {
        // There is no `/proc`.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::set_permissions(made, allowed)?,
        done => done?,
    }
    if let Some((user, group)) = owner {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        rustix::fs::chownat(&file, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}

/// What no other file has for as long as this one is there.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Whether a socket could be made there: its folder is there and may be written to, and nothing else has the name.
pub(super) fn fits(path: &Path) -> io::Result<()> {
    refuse_what_is_no_socket(path)?;
    let folder = path.parent().unwrap_or(path);
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
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

    fn wanted(path: &Path, mode: u32) -> Wanted {
        Wanted { path: path.to_path_buf(), mode, predecessor: None, owner: None }
    }

    fn in_place_of(path: &Path, predecessor: u32) -> Wanted {
        Wanted { predecessor: Some(predecessor), ..wanted(path, 0o600) }
    }

    #[test]
    fn a_socket_is_its_owners_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (file, _listener) = SocketFile::bind(wanted(&path, 0o600)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["admin.sock"]);
        assert!(file.path() == path && file.is_in_place());
        drop(file);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn whoever_lives_keeps_the_name_and_what_is_left_of_the_dead_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (first, listener) = SocketFile::bind(wanted(&path, 0o600)).unwrap();
        let refused = SocketFile::bind(wanted(&path, 0o600)).unwrap_err();
        let Unbound::Served(holder) = refused else { panic!("{refused:?}") };
        assert_eq!(holder.process, Some(std::process::id()));
        assert!(first.is_in_place());
        assert_eq!(names(folder.path()), ["admin.sock"], "nothing is left beside it");
        drop(listener);
        let (second, _listener) = SocketFile::bind(wanted(&path, 0o600)).unwrap();
        assert!(second.is_in_place() && !first.is_in_place());
        drop(first);
        assert!(second.is_in_place());
    }

    #[test]
    fn who_takes_over_takes_the_name_of_its_predecessor_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (first, _listener) = SocketFile::bind(wanted(&path, 0o600)).unwrap();
        let other = SocketFile::bind(in_place_of(&path, std::process::id() + 1));
        assert!(matches!(other, Err(Unbound::Served(_))), "that is not its predecessor");
        let (second, listener) = SocketFile::bind(in_place_of(&path, std::process::id())).unwrap();
        drop(first);
        assert_eq!(names(folder.path()), ["admin.sock"]);
        let _client = who_listens(&path).unwrap().unwrap();
        listener.accept().unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn of_many_who_come_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        // Left behind by a process that was killed.
        drop(UnixListener::bind(&path).unwrap());
        let bind = |n: u32| {
            // Each as a process of its own would: by a name of its own beside the path.
            let beside = folder.path().join(n.to_string());
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.bind(&SockAddr::unix(&beside).unwrap()).unwrap();
            SocketFile::complete(&beside, &wanted(&path, 0o600), &socket).map(|_| socket)
        };
        let bound: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || bind(n))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        assert_eq!(bound.len(), 1);
    }

    /// Where others can write to the folder, what was bound a moment ago may have become a link to what is not theirs.
    #[test]
    fn a_link_in_its_place_gives_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let (precious, link) = (folder.path().join("precious"), folder.path().join("admin.sock.1"));
        fs::write(&precious, "precious").unwrap();
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        for path in [&link, &precious] {
            let error = hand_to(path, 0o666, Some((1, 1))).unwrap_err();
            assert_eq!(error.to_string(), "somebody else has put something in its place");
        }
        let about = fs::metadata(&precious).unwrap();
        assert_eq!(about.mode() & 0o777, 0o600);
        assert_ne!(about.uid(), 1);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        fs::write(&path, "precious").unwrap();
        let error = SocketFile::bind(wanted(&path, 0o600)).unwrap_err();
        let Unbound::Io(error) = error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), "there is a file of that name that is no socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert!(SocketFile::bind(wanted(&folder.path().join("none/admin.sock"), 0o600)).is_err());
        assert_eq!(names(folder.path()), ["admin.sock"]);
    }
}
