//! What the process has of descriptors and memory, and how many connections there is room for.

use std::fs;

use proxy_core::listen::accept_error_is_shortage;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept back from connections, beside the listening sockets: logs, the runtimes' own, names, and room to spare.
const RESERVE: u64 = 128;
/// Flows beyond these that stall with a full pipe each go through memory instead.
const MOST_PIPES: usize = 256;
/// What is assumed where the system sets no limit: as many as a 64-bit machine with some GiB can well serve.
const UNLIMITED: u64 = 1 << 20;

/// What a runtime opens: its epoll instance, what wakes it, and for signals a copy of one end of a pair of sockets, which is made
/// once in a process; and one to spare.
const OF_A_RUNTIME: usize = 6;

/// Whether there are descriptors for a runtime: where they run out while one is made, tokio panics.
///
/// # Errors
/// What the system says where there are not.
pub fn room_for_a_runtime() -> std::io::Result<()> {
    let opened: std::io::Result<Vec<_>> =
        (0..OF_A_RUNTIME).map(|_| std::fs::File::open("/dev/null")).collect();
    opened.map(drop)
}

/// Raises the soft limit of open files to the hard one, as any proxy would ask its operator to; what it is then.
#[must_use]
pub fn raise_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum;
    if limit.current != wanted {
        limit.current = wanted;
        if setrlimit(Resource::Nofile, limit).is_err() {
            return getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED);
        }
    }
    wanted.unwrap_or(UNLIMITED)
}

/// How many descriptors the process may have.
#[must_use]
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED)
}

/// How many it has. It takes one to look: where there is none to be had, all are in use. None where there is no `/proc` to
/// look at: then nobody can be warned, and nobody is refused.
#[must_use]
pub fn in_use() -> u64 {
    match counted() {
        Ok(count) => count,
        Err(error) if accept_error_is_shortage(&error) => limit(),
        Err(_) => 0,
    }
}

/// Its resident bytes.
///
/// # Errors
/// Where `/proc` cannot be read, or says what it never said.
pub fn resident() -> std::io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages
        .map(|pages| pages * rustix::param::page_size() as u64)
        .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// How many pipes large flows may have between them, of two descriptors each: a thirty-second of what there is, and no more
/// than bring anything.
#[must_use]
pub fn pipes(descriptors: u64) -> usize {
    usize::try_from(descriptors / 64).map_or(MOST_PIPES, |pipes| pipes.min(MOST_PIPES))
}

/// How many connections there is room for: two descriptors each, after the reserve, pipes, and `listening` sockets.
#[must_use]
pub fn room_for_connections(descriptors: u64, listening: u64) -> usize {
    let others = RESERVE + 2 * pipes(descriptors) as u64 + listening;
    usize::try_from(descriptors.saturating_sub(others) / 2).unwrap_or(usize::MAX).max(1)
}

fn counted() -> std::io::Result<u64> {
    // Since Linux 6.2 that is the size of the directory: one call, where listing 16 000 descriptors takes 16 ms.
    match fs::metadata("/proc/self/fd")?.len() {
        0 => Ok(fs::read_dir("/proc/self/fd")?.count() as u64),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptors_a_connection_after_a_reserve() {
        assert_eq!(room_for_connections(1024, 0), 432);
        assert_eq!(room_for_connections(1024, 400), 232);
        assert_eq!(room_for_connections(100, 2), 1, "a proxy that can serve nobody is no use");
        assert!(raise_limit() > RESERVE);
        assert_eq!(limit(), raise_limit());
        assert!(in_use() > 3);
        assert!(resident().unwrap() > 1 << 20);
    }
}
