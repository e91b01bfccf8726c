//! Where a running proxy is looked for when nobody says where: the one rule, for those who look and those who are found.
//!
//! ```text
//! /run/smartproxy/admin.sock               the one of the machine, which the service manager starts
//! FOLDER/admin.sock                        one of this user's
//! FOLDER/demo-PID/{outer,inner}.sock       the hops of an embedded chain
//! ```
//! FOLDER is `$XDG_RUNTIME_DIR/smartproxy` where there is such a folder, else `/run/user/UID/smartproxy`, else
//! `/tmp/smartproxy-UID`. It is the user's alone: one that is somebody else's, or that others may write to, is neither used nor
//! looked into, so that nobody can put a socket of theirs where this user's commands go. Of the files that are there only those
//! count behind which somebody listens.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use proxy_core::unix::who_listens;

/// The socket of the machine's proxy: as the package's configuration has it.
pub const SYSTEM_WIDE: &str = "/run/smartproxy/admin.sock";

/// The name of a user's own, in the user's folder.
const OWN: &str = "admin.sock";

/// The hops of an embedded chain, the outermost first.
pub const HOPS: [&str; 2] = ["outer", "inner"];

/// What the folder of an embedded chain begins with; the number of its process follows.
const DEMO: &str = "demo-";

/// What others may do with a folder that is trusted: nothing that puts a file there.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why no proxy was found.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// There is none.
    #[error("no admin socket found; looked for {}", listed(.looked_for, " and "))]
    Nowhere {
        /// What was looked for.
        looked_for: Vec<PathBuf>,
    },
    /// There are several, none of which is more usual than the others.
    #[error("several embedded chains run, with their admin sockets in {}", listed(.folders, ", "))]
    Several {
        /// Their folders.
        folders: Vec<PathBuf>,
    },
}

fn listed(paths: &[PathBuf], between: &str) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(between)
}

/// The usual places.
#[derive(Debug, Clone)]
pub struct Places {
    system_wide: PathBuf,
    folder: PathBuf,
    user: u32,
}

impl Places {
    /// Those of this user on this machine.
    #[must_use]
    pub fn of_this_user() -> Self {
        let user = rustix::process::geteuid().as_raw();
        let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usual = PathBuf::from(format!("/run/user/{user}"));
        let of_user = named.filter(|path| path.is_absolute() && path.is_dir());
        let of_user = of_user.or_else(|| Some(usual).filter(|path| is_private(path, user)));
        let folder = of_user
            .map_or_else(|| PathBuf::from(format!("/tmp/smartproxy-{user}")), |path| path.join("smartproxy"));
        Self { system_wide: SYSTEM_WIDE.into(), folder, user }
    }

    /// The same as if `dir` were the whole machine.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        let user = rustix::process::geteuid().as_raw();
        Self { system_wide: dir.join("system.sock"), folder: dir.join("own"), user }
    }

    /// The user's folder, made if it is not there.
    ///
    /// # Errors
    /// Where it cannot be made, or is not this user's alone.
    pub fn make_folder(&self) -> io::Result<&Path> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if is_private(&self.folder, self.user) {
            return Ok(&self.folder);
        }
        let whose = "is no folder of this user alone (somebody else's, or others may write to it): remove it, or set XDG_RUNTIME_DIR to one that is";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {whose}", self.folder.display())))
    }

    /// Where the embedded chain of the process `id` has its sockets.
    #[must_use]
    pub fn of_demo(&self, id: u32) -> PathBuf {
        self.folder.join(format!("{DEMO}{id}"))
    }

    /// The socket of the proxy that runs: the machine's, else the user's own, else the outer hop of an embedded chain. Where
    /// nobody answers at any, the first that is there: to connect to it says what is wrong.
    ///
    /// # Errors
    /// [`NotFound`].
    pub fn proxy(&self) -> Result<PathBuf, NotFound> {
        let usual = self.usual();
        if let Some(running) = usual.iter().find(|path| is_served(path)) {
            return Ok(running.clone());
        }
        match self.chain() {
            Err(NotFound::Nowhere { .. }) => {
                let is_there = |path: &&PathBuf| match path.try_exists() {
                    Ok(exists) => exists,
                    // In a folder that may not be looked into: as far as anybody can tell.
                    Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
                };
                usual.iter().find(is_there).cloned().ok_or_else(|| self.nowhere())
            }
            chain => chain.and_then(|hops| hops.into_iter().next().ok_or_else(|| self.nowhere())),
        }
    }

    /// The sockets of the hops of the embedded chain that runs, the outermost first.
    ///
    /// # Errors
    /// [`NotFound`].
    pub fn chain(&self) -> Result<Vec<PathBuf>, NotFound> {
        let mut folders: Vec<_> = self.demos().into_iter().filter(|folder| is_served(&hop(folder))).collect();
        folders.sort();
        match &folders[..] {
            [] => Err(NotFound::Nowhere { looked_for: vec![self.any_demo()] }),
            [folder] => Ok(HOPS.map(|name| folder.join(format!("{name}.sock"))).into()),
            _ => Err(NotFound::Several { folders }),
        }
    }

    /// Removes what embedded chains that were killed have left behind. What cannot be removed stays.
    pub fn sweep(&self) {
        let left = |folder: &PathBuf| {
            hop(folder).exists() && who_listens(&hop(folder)).is_ok_and(|who| who.is_none())
        };
        for folder in self.demos().iter().filter(|folder| left(folder)) {
            fs::remove_dir_all(folder).unwrap_or_default();
        }
    }

    /// Those that are always the same.
    fn usual(&self) -> Vec<PathBuf> {
        let own = self.is_trusted().then(|| self.folder.join(OWN));
        [Some(self.system_wide.clone()), own].into_iter().flatten().collect()
    }

    /// The folders of embedded chains, running or not.
    fn demos(&self) -> Vec<PathBuf> {
        if !self.is_trusted() {
            return Vec::new();
        }
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let of_demo = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with(DEMO));
        entries.filter(|entry| of_demo(&entry.file_name())).map(|entry| entry.path()).collect()
    }

    fn is_trusted(&self) -> bool {
        is_private(&self.folder, self.user)
    }

    fn nowhere(&self) -> NotFound {
        let looked_for = vec![self.system_wide.clone(), self.folder.join(OWN), self.any_demo()];
        NotFound::Nowhere { looked_for }
    }

    /// How the outer hops' sockets of embedded chains are called.
    fn any_demo(&self) -> PathBuf {
        hop(&self.folder.join(format!("{DEMO}*")))
    }
}

/// The outermost hop's socket in the folder of an embedded chain.
fn hop(folder: &Path) -> PathBuf {
    let [outer, _] = HOPS;
    folder.join(format!("{outer}.sock"))
}

/// Whether somebody listens there who may be talked to.
fn is_served(path: &Path) -> bool {
    who_listens(path).is_ok_and(|who| who.is_some())
}

/// Whether it is a folder, and no link to one, to which nobody but `user` may add anything.
fn is_private(path: &Path, user: u32) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & WRITABLE_BY_OTHERS == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    fn demo(places: &Places, id: u32) -> [UnixListener; 2] {
        let folder = places.of_demo(id);
        create_dir(&folder).unwrap();
        HOPS.map(|name| UnixListener::bind(folder.join(format!("{name}.sock"))).unwrap())
    }

    #[test]
    fn a_demo_is_found_and_an_own_proxy_before_it_and_the_machines_before_both() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        let error = places.proxy().unwrap_err().to_string();
        assert!(error.contains("system.sock") && error.contains("own/demo-*/outer.sock"), "{error}");
        let folder = places.make_folder().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
        let _hops = demo(&places, 7);
        assert_eq!(places.proxy().unwrap(), places.of_demo(7).join("outer.sock"));
        let chain = HOPS.map(|name| places.of_demo(7).join(format!("{name}.sock")));
        assert_eq!(places.chain().unwrap(), chain);
        let own = folder.join(OWN);
        let _own = UnixListener::bind(&own).unwrap();
        assert_eq!(places.proxy().unwrap(), own);
        let _system = UnixListener::bind(&places.system_wide).unwrap();
        assert_eq!(places.proxy().unwrap(), places.system_wide);
    }

    #[test]
    fn a_file_behind_which_nobody_listens_is_passed_over_if_somebody_does_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        drop(UnixListener::bind(&places.system_wide).unwrap());
        assert_eq!(places.proxy().unwrap(), places.system_wide, "to connect says what is wrong");
        places.make_folder().unwrap();
        drop(demo(&places, 7));
        let _hops = demo(&places, 8);
        assert_eq!(places.proxy().unwrap(), places.of_demo(8).join("outer.sock"));
        places.sweep();
        assert!(!places.of_demo(7).exists() && places.of_demo(8).exists());
    }

    #[test]
    fn of_several_chains_none_is_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        places.make_folder().unwrap();
        let _both = [demo(&places, 7), demo(&places, 8)];
        for error in [places.proxy().unwrap_err(), places.chain().unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("own/demo-7, ") && error.ends_with("own/demo-8"), "{error}");
        }
    }

    #[test]
    fn a_folder_that_others_can_write_to_or_that_is_a_link_is_neither_used_nor_believed() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        places.make_folder().unwrap();
        let _hops = demo(&places, 7);
        set_permissions(&places.folder, Permissions::from_mode(0o777)).unwrap();
        assert!(places.proxy().is_err() && places.chain().is_err());
        assert!(places.make_folder().unwrap_err().to_string().contains("of this user alone"));
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&places.folder, &elsewhere).unwrap();
        set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
        symlink(&elsewhere, &places.folder).unwrap();
        assert!(places.proxy().is_err() && places.make_folder().is_err());
        let others = Places { user: places.user + 1, folder: elsewhere, ..places };
        assert!(others.proxy().is_err(), "it is somebody else's");
    }
}
