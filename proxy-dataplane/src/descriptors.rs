//! What the process has of descriptors, what a configuration takes of them, and how many connections there is room for.

use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use proxy_core::listen::accept_error_is_shortage;
use proxy_core::resolve::MOST_LOOK_UPS;
use proxy_values::plural::count;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::settings::Settings;

/// Kept back from connections, beside the listening sockets: logs, the runtimes' own, names, and room to spare. Where that
/// would be more than a quarter of what there is, less is spare; where there is much, names get more ([`look_ups`]).
const RESERVE: u64 = 128;
/// What is spare of it, however much the process itself takes.
const LEAST_SPARE: u64 = 32;
/// The standard streams, the runtimes of the control plane and of names, and what signals need. This and what follows was
/// counted in running processes (`tests/operated/held_descriptors.rs`).
const ALWAYS: u64 = 13;
/// A worker's runtime: two epoll instances, their wakers, its end of the signals.
const OF_A_WORKER: u64 = 5;
/// With fewer than these beside what it keeps, nothing can be served: one connection, and a file that is read again.
const LEAST: u64 = 8;
/// Capacity for fewer connections than these is worth a warning: more is kept back than they get.
const FEW: usize = (RESERVE / 2) as usize;
/// Flows beyond these that stall with a full pipe each go through memory instead.
const MOST_PIPES: usize = 256;
/// What is assumed where the system sets no limit: as many as a 64-bit machine with some GiB can well serve.
const UNLIMITED: u64 = 1 << 20;

/// What a runtime opens: its epoll instance, what wakes it, and for signals a copy of one end of a pair of sockets, which is made
/// once in a process; and one to spare.
const OF_A_RUNTIME: usize = 6;

/// Whether there are descriptors for a runtime, where it is the process's first: where they run out while that one makes what
/// signals need, tokio panics. For any later one it says so itself.
///
/// # Errors
/// What the system says where there are not.
pub fn room_for_a_runtime() -> std::io::Result<()> {
    static FIRST: AtomicBool = AtomicBool::new(true);
    if FIRST.load(Ordering::Relaxed) {
        let opened: std::io::Result<Vec<_>> =
            (0..OF_A_RUNTIME).map(|_| fs::File::open("/dev/null")).collect();
        drop(opened?);
        FIRST.store(false, Ordering::Relaxed);
    }
    Ok(())
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

/// How many it may have once it has raised its limit.
#[must_use]
pub fn attainable() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(UNLIMITED)
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

/// How many pipes large flows may have between them, of two descriptors each: a thirty-second of what there is, and no more
/// than bring anything.
#[must_use]
pub fn pipes(descriptors: u64) -> usize {
    usize::try_from(descriptors / 64).map_or(MOST_PIPES, |pipes| pipes.min(MOST_PIPES))
}

/// How many descriptors the admin API keeps for the time when there are no others, where there are so many: of what is spare,
/// and so few of a small limit that connections have what they are promised.
#[must_use]
pub fn reserve_of_the_api(descriptors: u64) -> usize {
    /// More than can be asked at a time takes, since a worker that tries to accept may be faster than whoever has closed one
    /// for itself.
    const MOST: usize = 16;
    usize::try_from(descriptors / 16).map_or(MOST, |part| part.clamp(1, MOST))
}

/// Of the reserve, what names can count on.
const FOR_NAMES: u64 = RESERVE / 2;

/// How many sockets look-ups of names may have while their name servers answer: one for each family of addresses. They fit into
/// what is kept back. More are not planned for: a server is asked again, and others beside it, where it is silent, and those
/// that wait for them are connections that have one of their two descriptors.
#[must_use]
pub fn look_ups(descriptors: u64) -> usize {
    usize::try_from(descriptors / 16).map_or(MOST_LOOK_UPS, |threads| threads.min(MOST_LOOK_UPS))
}

/// The descriptors that a configuration keeps open without any connection. What it says holds alike for whoever checks it,
/// starts with it, or reloads it. Its text is the beginning of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Addresses that are listened on.
    listeners: u64,
    /// Threads that listen on each with a socket of its own.
    workers: u64,
    /// What the rest of the process asks for beside that: an admin API, a log file, a watch.
    extras: u64,
}

impl Needs {
    /// What a proxy that runs with `settings` keeps open.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let (listeners, workers) = (settings.listeners.len() as u64, settings.workers.get().into());
        let memory = u64::from(settings.max_memory.is_some());
        Self { listeners, workers, extras: settings.other_descriptors + memory }
    }

    /// All of them.
    #[must_use]
    pub const fn kept(self) -> u64 {
        self.own() + self.listening()
    }

    /// Whether a process that may have so many can be started.
    #[must_use]
    pub const fn fit(self, descriptors: u64) -> bool {
        self.kept() + LEAST <= descriptors
    }

    /// How many connections there is room for, of two descriptors each: after what is kept, pipes, and something to spare. At
    /// least one: a proxy that can serve nobody is no use.
    #[must_use]
    pub fn room(self, descriptors: u64) -> usize {
        let left = descriptors.saturating_sub(self.kept() + 2 * pipes(descriptors) as u64);
        let reserve = RESERVE + (look_ups(descriptors) as u64).saturating_sub(FOR_NAMES);
        let spare = reserve.saturating_sub(self.own()).max(LEAST_SPARE).min(left / 4);
        usize::try_from((left - spare) / 2).unwrap_or(usize::MAX).max(1)
    }

    const fn own(self) -> u64 {
        ALWAYS + OF_A_WORKER * self.workers + self.extras
    }

    const fn listening(self) -> u64 {
        self.listeners * self.workers
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listeners, workers, .. } = self;
        let (listening, own) = (self.listening(), self.own());
        write!(
            f,
            "listening takes {listening} descriptors (addresses: {listeners}, workers: {workers}), the process itself {own}"
        )
    }
}

/// What to tell an operator who gets fewer connections than they want, or hardly any, where there are so many descriptors.
#[must_use]
pub fn too_few(settings: &Settings, descriptors: u64) -> Option<String> {
    /// What can be done about it.
    const RAISE: &str = "raise it (`ulimit -Hn`, `LimitNOFILE=` of a unit) and start anew";
    let needs = Needs::of(settings);
    let room = needs.room(descriptors);
    let why = format!("the limit of open files is {descriptors}: {needs}");
    let connections = count(room as u64, "connection", "connections");
    match settings.max_connections.map(|wanted| wanted.get() as usize) {
        Some(wanted) if wanted > room => Some(format!(
            "max_connections = {wanted}, but there are descriptors for {connections} only, since {why}. Lower \
             max_connections, or {RAISE}"
        )),
        None if room < FEW => {
            Some(format!("there are descriptors for {connections} only, since {why}. To serve more, {RAISE}"))
        }
        Some(_) | None => None,
    }
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
    use proxy_core::BindAddr;
    use proxy_route::RouteTable;

    use super::*;
    use crate::settings::{Connections, ListenerConfig, Workers};

    /// The numbers of the manual, and what is left of small limits.
    #[test]
    fn two_descriptors_a_connection_after_a_reserve() {
        let room = |descriptors, listeners| Needs { listeners, workers: 2, extras: 0 }.room(descriptors);
        assert_eq!((room(1024, 0), room(1024, 200)), ((1024 - 128 - 32) / 2, (1024 - 128 - 32 - 400) / 2));
        assert_eq!([64, 128, 256].map(|descriptors| room(descriptors, 1)), [14, 37, 84]);
        assert_eq!(room(1024, 470), 11, "what listening leaves is for connections");
        assert_eq!(room(20, 1), 1, "a proxy that can serve nobody is no use");
    }

    /// Each waits for one name server, and no connection waits for it any more.
    #[test]
    fn look_ups_that_hang_fit_into_what_is_spare() {
        for descriptors in [128, 256, 512, 1024, 2048, 4096, 1 << 20] {
            let needs = Needs { listeners: 1, workers: 2, extras: 0 };
            let planned = needs.kept() + 2 * (needs.room(descriptors) + pipes(descriptors)) as u64;
            let others = (look_ups(descriptors) + reserve_of_the_api(descriptors)) as u64;
            assert!(planned + others <= descriptors, "{descriptors}: {others} beside {planned}");
        }
        assert_eq!([64, 1024, 1 << 20].map(look_ups), [4, 64, 192]);
    }

    #[test]
    fn what_is_in_use_is_counted() {
        assert!(raise_limit() > RESERVE);
        assert_eq!((limit(), limit()), (raise_limit(), attainable()));
        assert!(in_use() > 3);
    }

    #[test]
    fn what_fits_leaves_room_for_somebody() {
        let needs = |listeners| Needs { listeners, workers: 2, extras: 0 };
        assert_eq!((needs(496).fit(1024), needs(497).fit(1024)), (true, false));
        insta::assert_snapshot!(needs(496), @"listening takes 992 descriptors (addresses: 496, workers: 2), the process itself 23");
    }

    /// One listener and two workers, with so many connections at most.
    fn told(most: Option<u32>, descriptors: u64) -> Option<String> {
        let listener = ListenerConfig::on(BindAddr::Dual, 8001);
        let routes = RouteTable::build([]).unwrap();
        let settings = Settings {
            workers: Workers::nearest(2),
            max_connections: most.map(Connections::nearest),
            ..Settings::new(vec![listener], routes)
        };
        too_few(&settings, descriptors)
    }

    #[test]
    fn whoever_gets_fewer_connections_than_they_want_is_told_why() {
        let limited = Some(500);
        assert_eq!((told(None, 1024), told(limited, 2048)), (None, None));
        insta::assert_snapshot!(told(None, 64).unwrap(), @"there are descriptors for 14 connections only, since the limit of open files is 64: listening takes 2 descriptors (addresses: 1, workers: 2), the process itself 23. To serve more, raise it (`ulimit -Hn`, `LimitNOFILE=` of a unit) and start anew");
        insta::assert_snapshot!(told(limited, 1024).unwrap(), @"max_connections = 500, but there are descriptors for 431 connections only, since the limit of open files is 1024: listening takes 2 descriptors (addresses: 1, workers: 2), the process itself 23. Lower max_connections, or raise it (`ulimit -Hn`, `LimitNOFILE=` of a unit) and start anew");
    }
}
