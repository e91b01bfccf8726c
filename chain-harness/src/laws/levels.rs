//! What a hop holds at one moment.

use std::time::Duration;

use super::{Breach, Law};

/// What a hop holds at one moment. What cannot be seen is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    /// Connections in its table.
    pub tracked: usize,
    /// Connections opened since it started.
    pub opened: u64,
    /// Connections ended since it started.
    pub ended: u64,
    /// Connections that ended by a fault of the proxy itself: a panic, an illegal phase.
    pub faults: u64,
    /// What its counts say is out, by name: permits, gauges, pipes.
    pub counts: Vec<(String, usize)>,
    /// Sockets or descriptors that are open.
    pub sockets: Option<usize>,
    /// Tasks that have not ended.
    pub tasks: Option<usize>,
    /// Bytes that are allocated.
    pub memory: Option<Memory>,
}

/// Bytes allocated, and how many more than before may be noise: a table that grew, a thread's buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Allocated now.
    pub bytes: usize,
    /// What is no breach.
    pub slack: usize,
}

/// A connection as its hop's table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub name: String,
    /// What it is in the middle of.
    pub phase: String,
    /// How long its deadline has passed; zero if it has not.
    pub overdue: Duration,
}

/// What `hop` breaks when everybody has gone: `now` against what was `before` anybody came.
#[must_use]
pub fn at_rest(hop: &str, before: &Levels, now: &Levels) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut broken = |law, detail: String| breaches.push(Breach::new(law, hop, detail));
    if now.tracked > 0 {
        broken(Law::TrackerEmpty, format!("{} in the table", now.tracked));
    }
    for (name, out) in &now.counts {
        let was = before.counts.iter().find(|(other, _)| other == name).map_or(0, |(_, was)| *was);
        if *out != was {
            broken(Law::CountsBack, format!("{name}: {out} out, {was} before"));
        }
    }
    let (opened, ended) = (now.opened - before.opened, now.ended - before.ended);
    // One that is still in the table has not ended: that is said already.
    if ended + now.tracked as u64 != opened {
        broken(Law::OpenedEnded, format!("{opened} opened, {ended} ended, {} in the table", now.tracked));
    }
    if now.faults > before.faults {
        broken(Law::OpenedEnded, format!("{} ended by a fault", now.faults - before.faults));
    }
    for (law, what, was, is) in [
        (Law::SocketsBack, "sockets", before.sockets, now.sockets),
        (Law::TasksBack, "tasks", before.tasks, now.tasks),
    ] {
        if let (Some(was), Some(is)) = (was, is)
            && is > was
        {
            broken(law, format!("{is} {what}, {was} before"));
        }
    }
    if let (Some(was), Some(is)) = (before.memory, now.memory)
        && is.bytes > was.bytes + is.slack
    {
        broken(
            Law::MemoryBack,
            format!("{} bytes, {} before, {} may be noise", is.bytes, was.bytes, is.slack),
        );
    }
    breaches
}

/// Which of a hop's connections have outlived their deadlines by more than a `tick`.
#[must_use]
pub fn overdue(hop: &str, entries: &[Entry], tick: Duration) -> Vec<Breach> {
    let late = entries.iter().filter(|entry| entry.overdue > tick);
    late.map(|entry| {
        let Entry { name, phase, overdue } = entry;
        Breach::new(Law::DeadlinesKept, hop, format!("{name} is in {phase}, {overdue:?} after its deadline"))
    })
    .collect()
}
