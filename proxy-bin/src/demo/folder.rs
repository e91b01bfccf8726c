//! A folder that nobody else can look into, for as long as somebody needs one.

use std::fs::{DirBuilder, remove_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use proxy_api::places::Places;

/// How many names are tried. One of our number is there already where another container has the same folder and a process
/// of the same number, or where one was killed early.
const TRIES: u32 = 10;

/// A folder of this process, for its user alone, where commands look for the sockets in it. Dropped, it is removed with what is
/// in it.
#[derive(Debug)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes one among the usual `places`.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(places: &Places) -> io::Result<Self> {
        places.make_folder()?;
        places.sweep();
        let first = places.of_demo(std::process::id());
        let more = (1..TRIES).map(|n| PathBuf::from(format!("{}-{n}", first.display())));
        let mut taken = io::ErrorKind::AlreadyExists.into();
        for path in std::iter::once(first.clone()).chain(more) {
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // Sockets in it are gone already; what cannot be removed is empty.
        remove_dir_all(&self.0).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_for_its_user_alone_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        let folder = PrivateFolder::new(&places).unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let other = PrivateFolder::new(&places).unwrap();
        assert_ne!(other.path(), path, "one that is there is not taken");
        drop(folder);
        assert!(!path.exists() && other.path().exists());
    }
}
