//! What the kernel says of other processes: which there are, and what they use.
//!
//! Everything here is a look at something that moves: a process that goes meanwhile counts for nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

/// What a tree of processes uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Open descriptors.
    pub files: usize,
    /// Of these, sockets, listening ones too.
    pub sockets: usize,
    /// Time on a processor since the start, in user and kernel mode. Counted in ticks of 10 ms.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl Usage {
    /// What `pids` use together.
    #[must_use]
    pub fn of(pids: &[u32]) -> Self {
        let mut usage = Self::without_files(pids);
        for &pid in pids {
            let (files, sockets) = descriptors(pid);
            usage.files += files;
            usage.sockets += sockets.len();
        }
        usage
    }

    /// The same, with descriptors left at zero: where they are many, to look at them costs time.
    pub(crate) fn without_files(pids: &[u32]) -> Self {
        let mut usage = Self::default();
        for &pid in pids {
            let stat = read_stat(pid).unwrap_or_default();
            usage.cpu += Duration::from_secs(stat.ticks) / ticks_per_second();
            usage.resident += stat.resident_pages * rustix::param::page_size() as u64;
        }
        usage
    }
}

fn ticks_per_second() -> u32 {
    u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100).max(1)
}

/// `root` and all that descend from it, parents before their children.
#[must_use]
pub fn tree(root: u32) -> Vec<u32> {
    let mut children = HashMap::<u32, Vec<u32>>::new();
    let listed = fs::read_dir("/proc").expect("Linux has /proc").map_while(Result::ok);
    for pid in listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = read_stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let (mut tree, mut looked_at) = (vec![root], 0);
    while let Some(pid) = tree.get(looked_at) {
        let more = children.remove(pid).unwrap_or_default();
        tree.extend(more);
        looked_at += 1;
    }
    tree
}

/// The open descriptors of a process, and what each leads to.
///
/// # Errors
/// Where the process has gone, or is somebody else's.
pub(crate) fn open_files(pid: u32) -> io::Result<BTreeMap<u64, PathBuf>> {
    let listed = fs::read_dir(format!("/proc/{pid}/fd"))?.map_while(Result::ok);
    let open = listed
        .filter_map(|fd| Some((fd.file_name().to_str()?.parse().ok()?, fs::read_link(fd.path()).ok()?)));
    // A look at /proc comes and goes.
    Ok(open.filter(|(_, to)| !to.starts_with("/proc")).collect())
}

/// How many descriptors a process has, and the inodes of its sockets.
pub(crate) fn descriptors(pid: u32) -> (usize, Vec<u64>) {
    let open = open_files(pid).unwrap_or_default();
    (open.len(), open.values().filter_map(|to| inode(to.to_str()?)).collect())
}

fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// What is in `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stat {
    parent: u32,
    ticks: u64,
    resident_pages: u64,
}

fn read_stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The fields of `/proc/PID/stat`, which `man 5 proc` counts from 1. The second is the program's name in parentheses, in
/// which there may be anything.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let user: u64 = field(14)?.parse().ok()?;
    let system: u64 = field(15)?.parse().ok()?;
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        ticks: user + system,
        resident_pages: field(24)?.parse().ok()?,
    })
}

/// Whether every thread of a process is stopped. Where a signal says to, one is first, and the others go on until that one has
/// had a processor to hear of it.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let state = |stat: String| Some(stat.rsplit_once(')')?.1.trim_start().starts_with(['T', 't']));
    threads
        .map_while(Result::ok)
        .all(|thread| fs::read_to_string(thread.path().join("stat")).ok().and_then(state).unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_parentheses_and_spaces() {
        let line =
            "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 0 0 0 300 21 0 0 20 0 1 0 9 1000 55 18446744073709551615";
        assert_eq!(parse_stat(line), Some(Stat { parent: 7, ticks: 321, resident_pages: 55 }));
        assert_eq!(parse_stat("42 (cut"), None);
    }

    #[test]
    fn a_tree_has_children_and_their_children() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let tree_of_child = loop {
            let tree = tree(child.id());
            // The shell itself, and sleep once it is there.
            if tree.len() == 2 {
                break tree;
            }
        };
        assert_eq!(tree_of_child[0], child.id());
        assert!(tree(std::process::id()).ends_with(&tree_of_child[1..]));
        for pid in tree_of_child {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        child.wait().unwrap();
    }

    #[test]
    fn sockets_of_this_process_are_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let usage = Usage::of(&[std::process::id()]);
        assert!(usage.sockets >= 1 && usage.files >= 4 && usage.resident > 1 << 16, "{usage:?}");
        let inode =
            inode(std::fs::read_link(format!("/proc/self/fd/{}", fd(&listener))).unwrap().to_str().unwrap());
        assert!(descriptors(std::process::id()).1.contains(&inode.unwrap()));
    }

    fn fd(socket: &impl std::os::fd::AsRawFd) -> i32 {
        socket.as_raw_fd()
    }
}
