//! What a start would refuse of a file that is good in itself, each with its place in it.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::document::Place;
use super::finding::Finding;
use super::{AccessTo, Config, recover};
use crate::admin::fit;
use crate::logging::{LogError, a_socket};
use crate::privileges::{self, PrivilegeError};

impl Config {
    /// Each place that names what a start would not have.
    pub(super) fn start_lacking(&self) -> Vec<Finding> {
        let mut lacking: Vec<(&'static str, &'static str, String)> = Vec::new();
        let admin = self.admin.as_ref().map(fit::lacking).unwrap_or_default();
        lacking.extend(admin.into_iter().map(|(key, error)| ("admin", key, error.to_string())));
        lacking.extend(self.user_lacking().map(|error| ("process", key_of(&error), error.to_string())));
        lacking.extend(self.log_lacking().map(|error| ("log", "access", error.to_string())));
        if lacking.is_empty() {
            return Vec::new();
        }
        // Where it is written, for which the text has to be read again.
        let Some(recovered) = recover::read(&self.origin.text, &mut Vec::new()) else { return Vec::new() };
        let root: Place<'_, '_> = recovered.document.root();
        let finding = |(table, key, title): (&'static str, &'static str, String)| {
            Finding::new(root.key(table).key(key).span(), title)
        };
        lacking.into_iter().map(finding).collect()
    }

    /// Whoever checks need not be who starts it: that it takes root is no fault of the file.
    fn user_lacking(&self) -> Option<PrivilegeError> {
        privileges::identity(&self.process).err().filter(|error| !matches!(error, PrivilegeError::NotRoot(_)))
    }

    fn log_lacking(&self) -> Option<LogError> {
        let AccessTo::File(path) = &self.log.access else { return None };
        could_append(path).err().map(|source| LogError::Open { path: path.clone(), source })
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "PrivilegeError is open-ended; the rest is about the user"
)]
fn key_of(error: &PrivilegeError) -> &'static str {
    match error {
        PrivilegeError::NoGroup(_) => "group",
        _ => "user",
    }
}

/// Whether a file could be appended to, or made, without doing either.
fn could_append(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(file) if file.file_type().is_socket() => Err(a_socket()),
        Ok(_) => Ok(access(path, Access::WRITE_OK)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(error) => Err(error),
    }
}
