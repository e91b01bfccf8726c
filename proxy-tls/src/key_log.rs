//! The keys of sessions, written to a file for whoever is to decrypt what was captured of them: only where that is asked for.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::{KeyLog, NoKeyLog};

static TO: OnceLock<Arc<KeyFile>> = OnceLock::new();

/// Has the keys of all sessions appended to the file at `path`, in the format that Wireshark reads (`SSLKEYLOGFILE`): of all
/// configurations that are made from then on. The file is made for its owner alone. Whoever reads it can decrypt those sessions.
///
/// # Errors
/// Where the file cannot be opened, or keys are written to one already.
pub fn log_keys_to(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    TO.set(Arc::new(KeyFile(Mutex::new(file)))).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// Where configurations have keys written to.
pub(crate) fn key_log() -> Arc<dyn KeyLog> {
    match TO.get() {
        Some(file) => Arc::<KeyFile>::clone(file),
        None => Arc::new(NoKeyLog),
    }
}

#[derive(Debug)]
struct KeyFile(Mutex<File>);

impl KeyLog for KeyFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        // INVARIANT: writing to a String does not fail.
        let mut hex = |bytes: &[u8], end: char| {
            bytes.iter().try_for_each(|byte| write!(line, "{byte:02x}")).unwrap_or_default();
            line.push(end);
        };
        hex(client_random, ' ');
        hex(secret, '\n');
        // A line that is lost is a session that stays secret: no reason to end it.
        self.0.lock().write_all(line.as_bytes()).unwrap_or_default();
    }
}
