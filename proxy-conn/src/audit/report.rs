//! What an audit found.

use std::fmt;
use std::time::Duration;

use super::compare::{Difference, Suspect, Suspects};
use super::kernel::OwnSocket;
use super::stuck::StuckAt;
use crate::entry::{DeadlineKind, Talk};
use crate::id::ConnId;

/// Findings of a kind that a report holds at most; the counts are of all. A defect shows in its first case, and a log is
/// not a table of connections.
pub const FINDINGS_OF_A_KIND: usize = 100;

/// What the audit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Gauge {
    /// Open sockets of connections that are in no entry.
    OrphanSockets,
    /// Entries whose sockets are all gone.
    Zombies,
    /// Entries of which one socket of two is gone.
    HalfZombies,
    /// Entries whose backend has sent nothing since the client's first bytes, or on which neither side has sent any. A warning,
    /// not a defect: some protocols are so.
    Stuck,
    /// Entries past their deadline.
    Overdue,
    /// By how many the tasks differ from the entries.
    Tasks,
    /// By how many permits differ from the entries that should hold one, all limits together.
    Permits,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::OrphanSockets,
        Self::Zombies,
        Self::HalfZombies,
        Self::Stuck,
        Self::Overdue,
        Self::Tasks,
        Self::Permits,
    ];

    /// The stable name: a metric label and a log field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrphanSockets => "orphan_sockets",
            Self::Zombies => "zombies",
            Self::HalfZombies => "half_zombies",
            Self::Stuck => "stuck",
            Self::Overdue => "overdue",
            Self::Tasks => "tasks",
            Self::Permits => "permits",
        }
    }

    /// Whether it must be 0.
    #[must_use]
    pub const fn is_defect(self) -> bool {
        !matches!(self, Self::Stuck)
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that was found. Its `Display` is a whole log line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// See [`Gauge::OrphanSockets`].
    OrphanSocket(OwnSocket),
    /// See [`Gauge::Zombies`].
    Zombie(Suspect),
    /// See [`Gauge::HalfZombies`].
    HalfZombie(Suspect),
    /// See [`Gauge::Stuck`].
    Stuck(Suspect),
    /// See [`Gauge::Overdue`], and for how long.
    Overdue(Suspect, Duration),
    /// See [`Gauge::Tasks`].
    Tasks(Difference),
    /// See [`Gauge::Permits`]; one for each limit.
    Permits(Difference),
}

impl Finding {
    /// Which gauge it counts in.
    #[must_use]
    pub const fn gauge(&self) -> Gauge {
        match self {
            Self::OrphanSocket(_) => Gauge::OrphanSockets,
            Self::Zombie(_) => Gauge::Zombies,
            Self::HalfZombie(_) => Gauge::HalfZombies,
            Self::Stuck(_) => Gauge::Stuck,
            Self::Overdue(..) => Gauge::Overdue,
            Self::Tasks(_) => Gauge::Tasks,
            Self::Permits(_) => Gauge::Permits,
        }
    }

    /// The connection that it is about, where it is about one.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnId> {
        match self {
            Self::Zombie(suspect)
            | Self::HalfZombie(suspect)
            | Self::Stuck(suspect)
            | Self::Overdue(suspect, _) => Some(suspect.conn.id),
            Self::OrphanSocket(_) | Self::Tasks(_) | Self::Permits(_) => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrphanSocket(socket) => write!(f, "orphan socket: {socket} is in no entry"),
            Self::Zombie(suspect) => write!(f, "zombie: {} has no socket; {}", named(suspect), held(suspect)),
            Self::HalfZombie(suspect) => {
                write!(f, "half zombie: {} has lost a socket; {}", named(suspect), held(suspect))
            }
            Self::Stuck(suspect) => {
                let waits = match suspect.conn.talk {
                    Talk::Silent => "neither side has said a word",
                    Talk::Greeted | Talk::Unanswered | Talk::Answered => "the client was never answered",
                };
                write!(f, "stuck: {}: {waits}", named(suspect))
            }
            Self::Overdue(suspect, late) => {
                let kind = suspect.conn.deadline.map(|(_, kind)| kind);
                write!(f, "overdue: {} is {late:.1?} past its deadline ({})", named(suspect), kind_name(kind))
            }
            Self::Tasks(difference) => write!(f, "tasks: {}", counted(difference)),
            Self::Permits(difference) => write!(f, "permits of {}: {}", difference.what, counted(difference)),
        }
    }
}

fn named(suspect: &Suspect) -> String {
    let conn = suspect.conn;
    format!("connection {} ({}, {:.1?} old, idle {:.1?})", conn.id, conn.phase, conn.age, conn.idle)
}

fn held(suspect: &Suspect) -> String {
    format!("client: {}; backend: {}", suspect.client, suspect.backend)
}

fn kind_name(kind: Option<DeadlineKind>) -> String {
    kind.map_or_else(|| "it has told none".to_owned(), |kind| kind.to_string())
}

fn counted(difference: &Difference) -> String {
    let (count, should, excess) = (difference.count, difference.should, difference.excess());
    format!("{count}, where {should} entries account for them ({excess:+})")
}

/// What one audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// How long it took, pauses included.
    pub took: Duration,
    /// How long of that it was reading and comparing.
    pub busy: Duration,
    /// Looks taken: 1 where there was nothing odd.
    pub looks: u8,
    /// Entries at the last look.
    pub entries: usize,
    /// Open sockets of this process at the last look; None where the kernel was not asked, or did not answer.
    pub sockets: Option<usize>,
    /// Why the kernel could not be asked, where it could not: then orphans, zombies and half-zombies were not looked for.
    pub blind: Option<Box<str>>,
    /// Overdue connections that the audit was the first to end.
    pub rescued: usize,
    /// The findings, at most [`FINDINGS_OF_A_KIND`] of a kind.
    pub findings: Vec<Finding>,
    /// Where connections are stuck, the most first: at most [`FINDINGS_OF_A_KIND`] places, and all connections of each.
    pub stuck: Vec<StuckAt>,
    pub(super) counts: [u64; Gauge::ALL.len()],
}

impl AuditReport {
    /// The value of a gauge.
    #[must_use]
    pub fn count(&self, gauge: Gauge) -> u64 {
        self.counts.get(gauge.index()).copied().unwrap_or(0)
    }

    /// Whether everything that must be 0 is 0. Warnings do not matter.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        Gauge::ALL.iter().all(|gauge| !gauge.is_defect() || self.count(*gauge) == 0)
    }

    /// Takes what was odd in every look.
    pub(super) fn fill(&mut self, suspects: Suspects, late: impl Fn(&Suspect) -> Duration) {
        let Suspects { orphans, zombies, half_zombies, stuck, overdue, tasks, permits, moved: _, workers: _ } =
            suspects;
        let excess = |differences: &[Difference]| differences.iter().map(|d| d.excess().unsigned_abs()).sum();
        let counts = [orphans.len(), zombies.len(), half_zombies.len(), stuck.len(), overdue.len()];
        let counts = counts.into_iter().map(|n| n as u64).chain([excess(tasks.as_slice()), excess(&permits)]);
        self.counts.iter_mut().zip(counts).for_each(|(to, count)| *to = count);
        self.add(orphans, Finding::OrphanSocket);
        self.add(zombies, Finding::Zombie);
        self.add(half_zombies, Finding::HalfZombie);
        self.add(stuck, Finding::Stuck);
        self.add(overdue, |suspect| Finding::Overdue(suspect, late(&suspect)));
        self.add(tasks, Finding::Tasks);
        self.add(permits, Finding::Permits);
    }

    fn add<T>(&mut self, found: impl IntoIterator<Item = T>, finding: impl Fn(T) -> Finding) {
        self.findings.extend(found.into_iter().take(FINDINGS_OF_A_KIND).map(finding));
    }
}
