//! Who is looked up next. Pure: whoever calls holds the lock and says what time it is.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// With fewer threads than these there would be none for some rank.
const LEAST: usize = 4;

/// Of so many threads one is left for names of the hosts file, and of so many one for names that were answered before: 8 and 24
/// of 192.
const ONE_FOR_HOSTS: usize = 24;
const ONE_FOR_HEALTHY: usize = 8;

/// Look-ups of names of which nothing good is known that may run at once, without any pace.
const AT_ONCE: usize = 8;

/// The pace beyond that. The newest of those names waits no longer than this, however many others hang.
pub(super) const EXTRA_EVERY: Duration = Duration::from_millis(200);

/// Names whose last look-up is remembered; as many as there are routes in a large configuration.
const REMEMBERED: usize = 16 * 1024;

/// A name to be looked up, and whoever waits for it.
pub(super) struct Job {
    pub(super) name: Box<str>,
    pub(super) answer: oneshot::Sender<io::Result<Vec<IpAddr>>>,
}

/// What is known of a name before it is looked up; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// The hosts file has it.
    Hosts,
    /// It was answered soon the last time, whatever the answer.
    Healthy,
    /// It was never looked up.
    New,
    /// It was not answered soon the last time.
    Slow,
}

/// What a thread is to do.
pub(super) enum Work {
    /// Look whether the hosts file has the name.
    Sift(Job),
    LookUp(Job, Rank),
}

#[derive(Default)]
pub(super) struct Queue {
    /// Threads at one time.
    most: usize,
    /// Of which not even that is known.
    unsifted: VecDeque<Job>,
    hosts: VecDeque<Job>,
    healthy: VecDeque<Job>,
    new: VecDeque<Job>,
    slow: VecDeque<Job>,
    /// Whether each name was answered soon the last time.
    remembered: HashMap<Box<str>, bool>,
    threads: usize,
    pub(super) idle: usize,
    /// Threads that were started and have not come to work yet.
    arriving: usize,
    /// Look-ups under way.
    busy: usize,
    /// Those of them that are of new or slow names.
    unproven: usize,
    next_extra: Option<Instant>,
    /// Queued when those were dropped last that nobody waits for.
    kept: usize,
    closed: bool,
}

impl Queue {
    /// One that so many threads may work on.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(LEAST), ..Self::default() }
    }

    pub(super) fn push(&mut self, job: Job) {
        match self.remembered.get(&job.name) {
            Some(true) => self.healthy.push_back(job),
            Some(false) => self.slow.push_back(job),
            None => self.unsifted.push_back(job),
        }
        if self.len() > 2 * self.kept.max(64) {
            self.drop_abandoned();
        }
    }

    pub(super) fn sifted(&mut self, job: Job, rank: Rank) {
        if rank == Rank::Hosts { self.hosts.push_back(job) } else { self.new.push_back(job) }
    }

    /// What may be done now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Work> {
        if let Some(job) = wanted(|| self.unsifted.pop_front()) {
            return Some(Work::Sift(job));
        }
        if let Some(job) = wanted(|| self.hosts.pop_front()) {
            return Some(self.begin(job, Rank::Hosts));
        }
        let but_hosts = self.most - self.most.div_ceil(ONE_FOR_HOSTS);
        if self.busy < but_hosts
            && let Some(job) = wanted(|| self.healthy.pop_front())
        {
            return Some(self.begin(job, Rank::Healthy));
        }
        let is_extra = self.unproven >= AT_ONCE;
        let but_better = but_hosts - self.most.div_ceil(ONE_FOR_HEALTHY);
        if self.busy >= but_better || (is_extra && !self.until_next_extra(now).is_zero()) {
            return None;
        }
        // The newest: who has waited for long is about to give up.
        let (job, rank) = match wanted(|| self.new.pop_back()) {
            Some(job) => (job, Rank::New),
            None => (wanted(|| self.slow.pop_back())?, Rank::Slow),
        };
        self.next_extra = Some(now + EXTRA_EVERY);
        Some(self.begin(job, rank))
    }

    fn begin(&mut self, job: Job, rank: Rank) -> Work {
        self.busy += 1;
        self.unproven += usize::from(rank.is_unproven());
        Work::LookUp(job, rank)
    }

    /// A look-up has come to its end, soon or not.
    pub(super) fn done(&mut self, name: Box<str>, rank: Rank, soon: bool) {
        self.busy -= 1;
        self.unproven -= usize::from(rank.is_unproven());
        if rank == Rank::Hosts {
            return;
        }
        if self.remembered.len() >= REMEMBERED && !self.remembered.contains_key(&name) {
            let any = self.remembered.keys().next().cloned();
            any.and_then(|any| self.remembered.remove(&any));
        }
        self.remembered.insert(name, soon);
    }

    /// Whether one thread more may be started; it counts from now on.
    pub(super) fn hire(&mut self) -> bool {
        let may = self.threads < self.most;
        self.threads += usize::from(may);
        self.arriving += usize::from(may);
        may
    }

    /// A thread ends, or could not be made. Where none is left, nobody waits in vain.
    pub(super) fn dismiss(&mut self) {
        self.threads -= 1;
        if self.threads == 0 {
            self.queues().into_iter().for_each(VecDeque::clear);
        }
    }

    /// A thread that was hired is there.
    pub(super) fn arrived(&mut self) {
        self.arriving -= 1;
    }

    /// Whether a thread has nothing to do, or is about to come.
    pub(super) fn has_idle(&self) -> bool {
        self.idle + self.arriving > 0
    }

    /// How long until the next look-up of a new or slow name may begin, where there are too many already.
    pub(super) fn until_next_extra(&self, now: Instant) -> Duration {
        self.next_extra.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        let Self { unsifted, hosts, healthy, new, slow, .. } = self;
        [unsifted, hosts, healthy, new, slow].into_iter().map(VecDeque::len).sum()
    }

    fn queues(&mut self) -> [&mut VecDeque<Job>; 5] {
        let Self { unsifted, hosts, healthy, new, slow, .. } = self;
        [unsifted, hosts, healthy, new, slow]
    }

    fn drop_abandoned(&mut self) {
        self.queues().into_iter().for_each(|queue| queue.retain(|job| !job.answer.is_closed()));
        self.kept = self.len();
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.threads
    }
}

impl Rank {
    const fn is_unproven(self) -> bool {
        matches!(self, Self::New | Self::Slow)
    }
}

/// The next that somebody still waits for.
fn wanted(mut next: impl FnMut() -> Option<Job>) -> Option<Job> {
    loop {
        let job = next()?;
        if !job.answer.is_closed() {
            return Some(job);
        }
    }
}
