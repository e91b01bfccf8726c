//! A folder that nobody else can look into, for as long as somebody needs one.

use std::fs::{DirBuilder, remove_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder of this process, for its user alone. Dropped, it is removed with what is in it.
#[derive(Debug)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes one, in the user's folder for such (`XDG_RUNTIME_DIR`) or in the one for temporary files.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        let of_user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let parent = of_user.filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir);
        let path = parent.join(format!("smartproxy-demo-{}", std::process::id()));
        // One that is there already is somebody else's.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
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
        let folder = PrivateFolder::new().unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(PrivateFolder::new().is_err(), "one that is there is not taken");
        drop(folder);
        assert!(!path.exists());
    }
}
