//! Hosts file and `resolv.conf`, read again when they have changed, and what follows from them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::DnsOptions;
use super::conf::Conf;
use super::hosts::Hosts;
use super::servers::Servers;

/// A file larger than this is not read. Lists of advertisers' names have 5 MiB.
const LARGEST: u64 = 16 << 20;

/// What both files say, as they were at one time.
pub(super) struct Snapshot {
    pub(super) hosts: Hosts,
    pub(super) conf: Conf,
    pub(super) servers: Servers,
}

/// The two files.
pub(super) struct Files {
    options: DnsOptions,
    state: Mutex<State>,
}

struct State {
    as_of: [Option<Mark>; 2],
    now: Arc<Snapshot>,
}

/// What tells one version of a file from another: its place on the disk, its size, and when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
}

impl Files {
    pub(super) fn new(options: DnsOptions) -> Self {
        let as_of = marks(&options);
        let state = Mutex::new(State { as_of, now: Arc::new(read(&options)) });
        Self { options, state }
    }

    /// What they said when they were last looked at.
    pub(super) fn now(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.lock().now)
    }

    /// Reads them again if one has changed; whether one had.
    pub(super) fn look(&self) -> bool {
        let as_of = marks(&self.options);
        if self.state.lock().as_of == as_of {
            return false;
        }
        let now = Arc::new(read(&self.options));
        *self.state.lock() = State { as_of, now };
        true
    }
}

fn marks(options: &DnsOptions) -> [Option<Mark>; 2] {
    [&options.hosts, &options.resolv_conf].map(|path| {
        let file = std::fs::metadata(path).ok()?;
        let written = (file.mtime(), file.mtime_nsec());
        Some(Mark { device: file.dev(), inode: file.ino(), size: file.size(), written })
    })
}

fn read(options: &DnsOptions) -> Snapshot {
    let hosts = Hosts::parse(&String::from_utf8_lossy(&contents(&options.hosts)));
    let mut conf = Conf::parse(&contents(&options.resolv_conf));
    if !options.servers.is_empty() {
        conf.servers.clone_from(&options.servers);
    }
    let servers = Servers::new(&conf);
    Snapshot { hosts, conf, servers }
}

/// What is in a file; nothing where it is not there, is none, or is too large.
fn contents(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let is_readable =
        |file: &File| file.metadata().is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
    if let Some(file) = File::open(path).ok().filter(is_readable)
        && file.take(LARGEST).read_to_end(&mut text).is_err()
    {
        text.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_has_changed_is_read_again_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { dir.path().join(name) };
        let files = Files::new(DnsOptions::default().hosts(path("hosts")).resolv_conf(path("resolv.conf")));
        let servers = |files: &Files| files.now().conf.servers.clone();
        assert_eq!(
            servers(&files),
            ["127.0.0.1:53".parse().unwrap()],
            "without any it is the machine itself"
        );
        assert!(!files.look());
        std::fs::write(path("hosts"), "10.0.0.1 a\n").unwrap();
        assert!(files.look() && files.now().hosts.get("a").is_some());
        assert!(!files.look());
        // Of the same length, in its place: as configuration tools do.
        std::fs::write(path("new"), "10.0.0.1 b\n").unwrap();
        std::fs::rename(path("new"), path("hosts")).unwrap();
        assert!(files.look() && files.now().hosts.get("a").is_none());
        std::fs::write(path("resolv.conf"), "nameserver 10.0.0.53\n").unwrap();
        assert!(files.look());
        assert_eq!(servers(&files), ["10.0.0.53:53".parse().unwrap()]);
        std::fs::remove_file(path("hosts")).unwrap();
        assert!(files.look() && files.now().hosts.get("b").is_none());
    }
}
