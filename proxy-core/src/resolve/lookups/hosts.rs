//! Which names the hosts file has. It is the system that says what they stand for; this only says who need not queue behind
//! names that somebody far away has to answer for.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use parking_lot::Mutex;

/// A hosts file larger than this is not looked at: its names queue with the others. Lists of advertisers' names have 5 MiB.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The names of a hosts file, read again when it has changed.
pub(super) struct HostsFile {
    path: PathBuf,
    read: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    /// The file's time and size when it was read.
    as_of: Option<(SystemTime, u64)>,
    names: HashSet<Box<str>>,
}

impl HostsFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, read: Mutex::default() }
    }

    /// Whether it has `name`. Reads the file where it is new: not to be called where nothing may block.
    pub(super) fn has(&self, name: &str) -> bool {
        let Ok(meta) = std::fs::metadata(&self.path) else { return false };
        let as_of = meta.modified().ok().map(|time| (time, meta.len()));
        let mut read = self.read.lock();
        if read.as_of.is_none() || read.as_of != as_of {
            let is_readable = meta.is_file() && meta.len() <= LARGEST;
            *read = Names { as_of, names: if is_readable { self.names() } else { HashSet::new() } };
        }
        read.names.contains(name.to_ascii_lowercase().as_str())
    }

    fn names(&self) -> HashSet<Box<str>> {
        let mut text = Vec::new();
        let file = File::open(&self.path).map(|file| file.take(LARGEST));
        if file.and_then(|mut file| file.read_to_end(&mut text)).is_err() {
            return HashSet::new();
        }
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        lines
            .flat_map(|line| line.split_whitespace().skip(1))
            .map(|name| name.to_ascii_lowercase().into())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_known_in_any_case_and_a_changed_file_is_read_again() {
        let path = std::env::temp_dir().join(format!("smartproxy-hosts-{}", std::process::id()));
        std::fs::write(&path, "10.0.0.1 Backend.test b # not-this\n# 10.0.0.2 nor-this\n::1\tlocalhost\n")
            .unwrap();
        let hosts = HostsFile::at(path.clone());
        for (name, is_there) in [
            ("backend.test", true),
            ("B", true),
            ("LocalHost", true),
            ("not-this", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(hosts.has(name), is_there, "{name}");
        }
        std::fs::write(&path, "10.0.0.1 another.test\n").unwrap();
        assert!(hosts.has("another.test") && !hosts.has("b"));
        std::fs::remove_file(&path).unwrap();
        assert!(!hosts.has("another.test"));
    }
}
