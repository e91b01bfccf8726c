//! How many connections the process has descriptors for.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept back from connections: listening sockets, logs, the runtimes' own, and room to spare.
const RESERVE: u64 = 128;
/// What is assumed where the system sets no limit: as many as a 64-bit machine with some GiB can well serve.
const UNLIMITED: u64 = 1 << 20;

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

/// How many connections there is room for: two descriptors each, after the reserve.
#[must_use]
pub fn room_for_connections(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptors_a_connection_after_a_reserve() {
        assert_eq!(room_for_connections(1024), 448);
        assert_eq!(room_for_connections(100), 1, "a proxy that can serve nobody is no use");
        assert!(raise_limit() > RESERVE);
    }
}
