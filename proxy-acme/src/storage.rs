//! The folder that keeps accounts, keys and certificates: readable by its user only, and safe to be shared by several proxies.
//!
//! ```text
//! FOLDER            0700
//! ├─ accounts/      one file an authority: its account and that account's key
//! ├─ certificates/  NAME: the chain and its key, as a certificate file of a route has them
//! ├─ records/       NAME: when it is renewed, how often it failed and why
//! ├─ challenges/    NAME: the answer to its pending challenge, for those who share the folder
//! ├─ locks/         NAME: locked by the one who orders it, and free when that process is gone
//! └─ new/           files that are being written; a whole one takes the place of the last
//! ```
//! Everything here blocks; it is for a thread that may.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::record::Record;

/// The largest file that is read: a chain of ten RSA certificates has a quarter of it.
const LARGEST: u64 = 128 << 10;

const FOLDERS: [&str; 6] = ["accounts", "certificates", "records", "challenges", "locks", "new"];

/// The folder, open.
#[derive(Debug)]
pub struct Storage {
    folder: PathBuf,
}

/// What is wrong with the folder, or with a file in it. It says where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Others than its user may look into it.
    #[error("{} may be entered by others than its user (mode {mode:04o}), and has private keys: chmod 700 it", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What the system says.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// A name that no file of it may have.
    #[error("\"{0}\" is no name for a certificate")]
    Name(String),
}

/// A lock that is held until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file's")] File);

impl Storage {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made or entered, and where others than its user may enter it.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        let storage = Self { folder: folder.to_owned() };
        storage.make()?;
        Ok(storage)
    }

    /// Makes what of the folder is not there (any more).
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub(crate) fn make(&self) -> Result<(), StorageError> {
        let folder = &*self.folder;
        let error = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| StorageError::Io { what, path, source }
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700);
        made.create(folder).map_err(error("make the folder", folder))?;
        Self::is_private(folder)?;
        for part in FOLDERS {
            let path = folder.join(part);
            made.create(&path).map_err(error("make the folder", &path))?;
        }
        Ok(())
    }

    /// Whether its user alone may enter the folder.
    ///
    /// # Errors
    /// Where others may, or it cannot be looked at.
    pub fn is_private(folder: &Path) -> Result<(), StorageError> {
        let error = |source| StorageError::Io { what: "look at", path: folder.to_owned(), source };
        let mode = fs::metadata(folder).map_err(error)?.mode() & 0o7777;
        if mode & 0o077 == 0 { Ok(()) } else { Err(StorageError::Open { folder: folder.to_owned(), mode }) }
    }

    /// The file in `folder` that has the chain and the key of `name`, once there is one: for those who present it.
    #[must_use]
    pub fn certificate_file(folder: &Path, name: &str) -> PathBuf {
        folder.join("certificates").join(name)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The chain and the key of `name` in PEM. None where there is none yet.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn certificate(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(&self.path("certificates", name)?)
    }

    /// Keeps the chain and the key of `name`.
    ///
    /// # Errors
    /// [`StorageError`]; then what was there is there still.
    pub fn keep_certificate(&self, name: &str, pem: &[u8]) -> Result<(), StorageError> {
        self.write(&self.path("certificates", name)?, pem)
    }

    /// What is remembered of `name`; nothing where there is none, or none that can be read.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn record(&self, name: &str) -> Result<Record, StorageError> {
        Ok(self.json(&self.path("records", name)?)?.unwrap_or_default())
    }

    /// Remembers `record` of `name`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn keep_record(&self, name: &str, record: &Record) -> Result<(), StorageError> {
        self.write_json(&self.path("records", name)?, record)
    }

    /// The account with the authority of this directory, as the client library writes it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn account<T: DeserializeOwned>(&self, directory: &str) -> Result<Option<T>, StorageError> {
        self.json(&self.path("accounts", &of_url(directory))?)
    }

    /// Keeps the account with the authority of this directory.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn keep_account<T: Serialize>(&self, directory: &str, account: &T) -> Result<(), StorageError> {
        self.write_json(&self.path("accounts", &of_url(directory))?, account)
    }

    /// Forgets an account that its authority does not know.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn forget_account(&self, directory: &str) -> Result<(), StorageError> {
        remove(&self.path("accounts", &of_url(directory))?)
    }

    /// Takes the lock of `name`; None while another one has it, in this process or another.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn lock(&self, name: &str) -> Result<Option<Lock>, StorageError> {
        let path = self.path("locks", name)?;
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let error = |source| StorageError::Io { what: "lock", path: path.clone(), source };
        let file = open.map_err(error)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(error(source)),
        }
    }

    /// The lock of the account with the authority of this directory.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn lock_account(&self, directory: &str) -> Result<Option<Lock>, StorageError> {
        self.lock(&of_url(directory))
    }

    /// Has those who share the folder answer so.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn put_answer(&self, answer: &Answer) -> Result<(), StorageError> {
        self.write_json(&self.path("challenges", &answer.name)?, answer)
    }

    /// Takes an answer back.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn take_answer(&self, name: &str) -> Result<(), StorageError> {
        remove(&self.path("challenges", name)?)
    }

    /// The answers that are there, `most` of them at most.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn answers(&self, most: usize) -> Result<Vec<Answer>, StorageError> {
        let folder = self.folder.join("challenges");
        let error = |source| StorageError::Io { what: "read the folder", path: folder.clone(), source };
        let entries = fs::read_dir(&folder).map_err(error)?;
        let mut answers = Vec::new();
        for entry in entries.take(most) {
            // One that its owner has just taken back, or that cannot be read, is none.
            answers.extend(self.json(&entry.map_err(error)?.path()).unwrap_or_default());
        }
        Ok(answers)
    }

    fn path(&self, part: &str, name: &str) -> Result<PathBuf, StorageError> {
        let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = (1..=253).contains(&name.len()) && !name.starts_with('.') && name.chars().all(harmless);
        if !fits {
            return Err(StorageError::Name(name.to_owned()));
        }
        Ok(self.folder.join(part).join(name))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
        let error = |source| StorageError::Io { what: "read", path: path.to_owned(), source };
        let mut text = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(LARGEST).read_to_end(&mut text).map_err(error)?,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(error(source)),
        };
        Ok(Some(text))
    }

    /// What a file says, where it can be read.
    fn json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, StorageError> {
        let text = self.read(path)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), StorageError> {
        let text = serde_json::to_vec_pretty(value).map_err(|error| StorageError::Io {
            what: "write",
            path: path.to_owned(),
            source: error.into(),
        })?;
        self.write(path, &text)
    }

    /// A file of this name that says this, whole or not at all, also for those who read it meanwhile or after a power cut.
    fn write(&self, path: &Path, text: &[u8]) -> Result<(), StorageError> {
        let error = |source| StorageError::Io { what: "write", path: path.to_owned(), source };
        let new = self.folder.join("new").join(format!("{}-{:016x}", std::process::id(), fastrand::u64(..)));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&new, path)
        })();
        written.map_err(|source| {
            // It may not be there at all.
            fs::remove_file(&new).unwrap_or_default();
            error(source)
        })
    }
}

fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::Io { what: "remove", path: path.to_owned(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The name of the file about an authority: two URLs never have the same one.
fn of_url(url: &str) -> String {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let mut name = String::new();
    for byte in rest.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            // Never in front of such a name, where it would hide the file.
            byte => name.push_str(&format!("_{byte:02x}")),
        }
    }
    name
}
